#!/usr/bin/env bash
# train_or_resume.sh RUN_DIR [options of psparsity train]
#
# For jobs that a cluster may start again: trains a new run, goes on with one that was stopped, and is content with one
# that is done. RUN_DIR is on a file system that every node sees. A run that goes on keeps its options, but for --set
# env_runners.count=N: the cluster may have another size by then.
set -euo pipefail

if [[ $# -lt 1 || "$1" == -* || "$1" == *://* ]]; then
    echo "train_or_resume.sh: name the run directory first, on a shared file system, as in /runs/first" >&2
    exit 2
fi
run_dir=$1
shift

if [[ -e "$run_dir/heldout.parquet" ]]; then
    echo "train_or_resume.sh: $run_dir is done; psparsity resume trains it longer"
elif [[ -n "$(ls -A "$run_dir/checkpoints" 2>/dev/null)" ]]; then
    runners=()
    for word in "$@"; do
        case "${word#--set=}" in
            env_runners.count=*) runners=(--set "${word#--set=}") ;; # the last one wins
        esac
    done
    exec psparsity resume "$run_dir" "${runners[@]}"
else
    # Stopped before its first checkpoint: what it wrote is kept beside the new run.
    if [[ -n "$(ls -A "$run_dir" 2>/dev/null)" ]]; then
        mv "$run_dir" "$run_dir.stopped-$(date -u +%Y%m%d-%H%M%S)"
    fi
    exec psparsity train --run-dir "$run_dir" "$@"
fi
