#!/bin/bash
# A training on several nodes that survives time limits and pre-emption: the state is saved, the job is put back in the
# queue, and the run goes on with the same bits.  sbatch scripts/slurm_train.sh CONFIG RUN_FOLDER [key=value ...]
# RUN_FOLDER is what CONFIG makes: its `runs`/`name`. data.batch_size has to be a multiple of all GPUs together.
#SBATCH --job-name=hilum
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@180
set -uo pipefail
config=${1:?usage: sbatch slurm_train.sh CONFIG RUN_FOLDER [key=value ...]}
run=${2:?usage: sbatch slurm_train.sh CONFIG RUN_FOLDER [key=value ...]}
shift 2

if [[ -f $run/provenance.json ]]; then
    words=(--resume "$run")
else
    words=("$config" "$@")
fi
main_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
# SIGTERM reaches torchrun, which hands it on; each process finishes its step, and the first one saves the state.
srun torchrun --nnodes "$SLURM_NNODES" --nproc-per-node "${SLURM_GPUS_ON_NODE:-1}" \
    --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "$main_node:29500" \
    -m hilum train "${words[@]}"
code=$?

# Not finished, but there is a checkpoint: stopped by the clock or by another job. Any other failure stays as it is.
if [[ $code -ne 0 && -f $run/checkpoints/last.pt ]] && ! grep -q '"finished"' "$run/provenance.json" \
    && grep -qs 'stopped by SIGTERM' "slurm-$SLURM_JOB_ID.out"; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
