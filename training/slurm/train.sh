#!/bin/bash
# Stages P, S and C on one machine with 4 GPUs:
#   sbatch training/slurm/train.sh training.sft --config training/recipes/2_sft.yaml --data DIR --output_dir runs/sft
# Stage R on two machines with 8 GPUs each; the second form lets a third machine write the answers with vLLM:
#   ACCELERATE=training/accelerate/16gpu_2nodes.yaml sbatch --nodes=2 --gpus-per-node=8 training/slurm/train.sh \
#       training.grpo --config training/recipes/4_grpo.yaml --data DIR --output_dir runs/grpo
#   VLLM=aybora/Qwen2-VL-TinyRS-CoT ACCELERATE=... sbatch --nodes=3 --gpus-per-node=8 training/slurm/train.sh \
#       training.grpo --config training/recipes/4_grpo.yaml --rollouts server --data DIR --output_dir runs/grpo
# (VLLM_FLAGS="--data-parallel-size 8" uses all of its GPUs.)
# A job that was cut off goes on from its newest checkpoint when it is put into the queue again (--requeue does that).
#SBATCH --job-name=tinyrs
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --output=%x-%j.log
set -euo pipefail

export OMP_NUM_THREADS=${OMP_NUM_THREADS:-8}
ACCELERATE=${ACCELERATE:-training/accelerate/4gpu.yaml}
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
trainers=("${nodes[@]}")
extra=()

if [[ -n ${VLLM:-} ]]; then
    server=${nodes[-1]}
    trainers=("${nodes[@]:0:${#nodes[@]}-1}")
    # TRL sends new weights over NCCL, and wants the probabilities as they were sampled.
    srun --nodes=1 --ntasks=1 --nodelist="$server" env VLLM_SERVER_DEV_MODE=1 vllm serve "$VLLM" --port 8000 \
        --weight-transfer-config '{"backend": "nccl"}' --logprobs-mode processed_logprobs --max-logprobs -1 ${VLLM_FLAGS:-} &
    trap 'kill %1 2>/dev/null || true' EXIT
    extra=(--vllm_base_url "http://$server:8000")
fi

joined=$(IFS=,; echo "${trainers[*]}")
# One launcher on each machine; SLURM_NODEID says which one it is.
srun --nodes="${#trainers[@]}" --ntasks="${#trainers[@]}" --nodelist="$joined" bash -c '
    config=$1 first=$2 count=$3; shift 3
    if [[ $count -gt 1 ]]; then
        where=(--machine_rank "$SLURM_PROCID" --main_process_ip "$first" --main_process_port 29500)
    fi
    exec accelerate launch --config_file "$config" "${where[@]}" -m "$@"
' launcher "$ACCELERATE" "${trainers[0]}" "${#trainers[@]}" "$@" "${extra[@]}"
