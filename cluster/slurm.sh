#!/usr/bin/env bash
#SBATCH --job-name=psparsity
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=psparsity-%j.log
#
# sbatch cluster/slurm.sh RUN_DIR [options of psparsity train]
#
# Starts Ray on every node of the allocation, trains on the first one with the others as env runners, and stops Ray.
# RUN_DIR, this repository and the virtual environment are on a file system that every node sees. A job that Slurm
# requeues, or that is submitted again with the same RUN_DIR, goes on from its newest checkpoint.
# --exclusive matters: `ray symmetric-run` ends every Ray process of yours on its nodes when it is done.
#
# Environment: PSPARSITY_VENV, the virtual environment (.venv of the directory of submission by default);
#              RAY_PORT, where Ray's head listens (6379 by default).
set -euo pipefail

if [[ $# -lt 1 ]]; then
    echo "slurm.sh: name the run directory, as in: sbatch cluster/slurm.sh /shared/runs/first" >&2
    exit 2
fi
root=${SLURM_SUBMIT_DIR:?start this script by sbatch, from the root of the repository}
venv=${PSPARSITY_VENV:-$root/.venv}
if [[ ! -x "$venv/bin/psparsity" ]]; then
    echo "slurm.sh: $venv/bin/psparsity is missing; run scripts/bootstrap, or set PSPARSITY_VENV" >&2
    exit 2
fi
export PATH="$venv/bin:$PATH"

head_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address="$head_node:${RAY_PORT:-6379}"

# A token of this job alone; its file is readable by you alone, and its content is on no command line.
token_file="$root/.psparsity-token-$SLURM_JOB_ID"
(umask 077 && python -c 'import secrets; print(secrets.token_hex(32), end="")' >"$token_file")
trap 'rm -f "$token_file"' EXIT
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$token_file"

export RAY_USAGE_STATS_ENABLED=0
# One thread a process: the env runners already fill the cores.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
# Nodes need longer than the half minute that Ray waits by default when Python comes from a busy file system.
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300

cpus=${SLURM_CPUS_ON_NODE:?}
gpus=${SLURM_GPUS_ON_NODE:-0}
runners=$((SLURM_JOB_NUM_NODES * cpus - 2))
run_dir=$1
shift

# RAY_ADDRESS makes psparsity join this Ray. It is set for the command alone: Ray's own start-up must not see it.
# Options of the caller come last, so --set env_runners.count=8 replaces the count that is computed here.
srun --kill-on-bad-exit=1 --cpus-per-task="$cpus" --cpu-bind=none ray symmetric-run \
    --address "$address" \
    --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus="$cpus" \
    --num-gpus="$gpus" \
    -- \
    env RAY_ADDRESS="$address" \
    "$root/cluster/train_or_resume.sh" "$run_dir" --set "env_runners.count=$((runners > 1 ? runners : 1))" "$@"
