from __future__ import annotations

import pytest

from rllib_psparsity.amg.recipe import DEFAULT_MENU, MEASURES, PROLONGATIONS, Recipe, parse_menu
from rllib_psparsity.errors import InputError
from rllib_psparsity.graph.level_graph import EDGE_FEATURES

EVERY_NAME = [f"{c}/{p}/{m}" for c, names in PROLONGATIONS.items() for p in names for m in MEASURES]


OWN_THRESHOLDS = {
    "sa/energy1/symmetric/0.01": ("log_symmetric", -2.0),
    "classical/direct/classical/0.7": ("classical_max", 0.7),
    "rootnode/energy2/evolution/8": ("evolution_max", 0.125),
    "sa/jacobi/classical/0.123456789": ("classical_max", 0.123456789),
}


@pytest.mark.parametrize("name", EVERY_NAME)
def test_every_combination_is_read_and_written(name):
    recipe = Recipe.parse(name)
    assert recipe.name == name
    assert recipe.scalar_only == name.startswith("classical/")


def test_there_are_27_recipes():
    assert len(EVERY_NAME) == 27


def test_the_measures_are_edge_features():
    assert all(measure.feature in EDGE_FEATURES for measure in MEASURES.values())


@pytest.mark.parametrize("name", OWN_THRESHOLDS)
def test_a_threshold_of_its_own(name):
    recipe = Recipe.parse(name)
    assert recipe.name == name
    feature, on_feature, steepness = recipe.strength_test
    assert (feature, on_feature) == OWN_THRESHOLDS[name]
    assert steepness == MEASURES[recipe.measure].steepness


@pytest.mark.parametrize("measure", MEASURES)
def test_the_textbooks_threshold_is_the_one_that_is_not_named(measure):
    short = f"sa/energy1/{measure}"
    explicit = Recipe.parse(f"{short}/{MEASURES[measure].textbook}")
    assert explicit == Recipe.parse(short) and explicit.name == short
    with pytest.raises(InputError, match="names a recipe twice"):
        parse_menu((short, f"{short}/{MEASURES[measure].textbook}"))


def test_the_default_menu_is_valid_and_in_order():
    menu = parse_menu(DEFAULT_MENU)
    assert tuple(recipe.name for recipe in menu) == DEFAULT_MENU
    assert {recipe.coarsening for recipe in menu} == set(PROLONGATIONS)


FORM = (
    "is not of the form coarsening/prolongation/measure, for example 'sa/energy1/evolution', with a threshold behind "
    "it where that is not the textbook's"
)
COARSENINGS = "is not one of sa, rootnode, classical"
REFUSALS = {
    "sa/energy1": FORM,
    "": FORM,
    "sa/energy1/evolution/8/2": FORM,
    "sa/energy1/evolution/x": ": threshold 'x' of 'evolution' is not a finite number above 1",
    "sa/energy1/evolution/1": ": threshold '1' of 'evolution' is not a finite number above 1",
    "sa/energy1/evolution/inf": ": threshold 'inf' of 'evolution' is not a finite number above 1",
    "sa/energy1/evolution/nan": ": threshold 'nan' of 'evolution' is not a finite number above 1",
    "sa/energy1/symmetric/0": ": threshold '0' of 'symmetric' is not between 0 and 1",
    "sa/energy1/classical/1": ": threshold '1' of 'classical' is not between 0 and 1",
    "sa/energy1/classical/": ": threshold '' of 'classical' is not between 0 and 1",
    "amg/energy1/evolution": f": coarsening 'amg' {COARSENINGS}",
    "SA/jacobi/symmetric": f": coarsening 'SA' {COARSENINGS}",
    "rootnode/jacobi/evolution": ": prolongation 'jacobi' of 'rootnode' is not one of energy1, energy2, energy3",
    "sa/energy4/evolution": ": prolongation 'energy4' of 'sa' is not one of jacobi, energy1, energy2, energy3",
    "classical/jacobi/symmetric": ": prolongation 'jacobi' of 'classical' is not one of direct, modified",
    "sa/jacobi/distance": ": measure 'distance' is not one of symmetric, classical, evolution",
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    with pytest.raises(InputError) as error:
        Recipe.parse(name)
    rest = REFUSALS[name]
    assert str(error.value) == f"recipe {name!r}{rest if rest.startswith(':') else ' ' + rest}"


def test_a_menu_names_no_recipe_twice():
    with pytest.raises(InputError) as error:
        parse_menu(("sa/jacobi/symmetric", "sa/energy1/symmetric", "sa/jacobi/symmetric"))
    assert str(error.value) == (
        "the recipe menu ['sa/jacobi/symmetric', 'sa/energy1/symmetric', 'sa/jacobi/symmetric'] names a recipe twice; "
        "name each once"
    )


@pytest.mark.parametrize("names", [("classical/direct/classical", "classical/modified/classical"), ()])
def test_a_menu_has_a_recipe_for_block_matrices(names):
    with pytest.raises(InputError) as error:
        parse_menu(names)
    assert str(error.value) == (
        f"the recipe menu {list(names)} has only classical recipes, which block matrices cannot use; "
        "add one whose coarsening is sa or rootnode"
    )


def test_a_menu_refuses_an_unknown_recipe():
    with pytest.raises(InputError, match="measure 'x' is not one of"):
        parse_menu((DEFAULT_MENU[0], "sa/jacobi/x"))
