"""More than one device: what the launchers are told, and that two processes do what one does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import DeepSpeedPlugin, FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env

from tests import exports, killing
from tests.test_sft import SMOKE
from tinyrs.config import ROOT
from training.recipe import load

CONFIGS = sorted((ROOT / "training" / "accelerate").glob("*.yaml"))
SCRIPT = ROOT / "training" / "slurm" / "train.sh"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_is_one_that_accelerate_knows(path):
    config = load_config_from_file(str(path))
    told = yaml.safe_load(path.read_text())
    unknown = set(told) - set(vars(config))
    assert not unknown and config.num_processes == told["num_processes"]
    # Our optimizer has a rate for each kind of module; one of DeepSpeed's own would have one for all.
    assert "optimizer" not in json.dumps(told.get("deepspeed_config", {})).replace("offload_optimizer", "")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_accelerate_starts_a_process_with_what_the_configuration_says(path, monkeypatch):
    told, flags = yaml.safe_load(path.read_text()), launch_command_parser()
    parts = told.get("deepspeed_config", {}) | told.get("fsdp_config", {})
    # A name that it does not know would be dropped without a word.
    assert set(parts) <= {each.dest for each in flags._actions}
    args, config, _ = _validate_launch_command(flags.parse_args(["--config_file", str(path), "-m", "training.sft"]))
    kind = told["distributed_type"]
    assert (args.use_deepspeed, args.use_fsdp) == (kind == "DEEPSPEED", kind == "FSDP")
    args.deepspeed_fields_from_accelerate_config = ",".join(config.deepspeed_config)
    prepared = prepare_deepspeed_cmd_env(args)[1] if kind == "DEEPSPEED" else prepare_multi_gpu_env(args)
    for name, value in prepared.items():
        monkeypatch.setenv(name, value)
    assert (args.num_machines, args.num_processes) == (told["num_machines"], told["num_processes"])
    assert prepared["ACCELERATE_MIXED_PRECISION"] == "no"  # the recipe's bf16 decides
    if kind == "DEEPSPEED":
        made = DeepSpeedPlugin().deepspeed_config
        assert made["zero_optimization"]["stage"] == parts["zero_stage"]
        assert made["gradient_accumulation_steps"] == made["gradient_clipping"] == "auto"  # the trainer's own
        whole = made["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"]
        assert whole == (parts["zero_stage"] == 3)
    if kind == "FSDP":
        made = FullyShardedDataParallelPlugin()
        assert (made.fsdp_version, made.reshard_after_forward) == (2, True)
        assert made.state_dict_type.name == "FULL_STATE_DICT" and made.cpu_ram_efficient_loading


def test_the_stages_fit_the_machines_of_the_paper():
    for name, stages in (
        ("4gpu", ("1_pretrain", "2_sft", "3_cot_sft", "5_dpo")),
        ("16gpu_2nodes", ("4_grpo",)),
    ):
        for path in (path for path in CONFIGS if path.stem.startswith(name)):
            for stage in stages:
                recipe = load(ROOT / "training" / "recipes" / f"{stage}.yaml")
                assert recipe.accumulation(load_config_from_file(str(path)).num_processes) >= 1


@pytest.fixture
def cluster(tmp_path):
    """sbatch's world, played: scontrol lists machines, srun runs the command once for each, others say how they
    were called. Returns a function: machines, environment, arguments -> lines of "machine | program and arguments"."""
    calls, binaries = tmp_path / "calls", tmp_path / "bin"
    binaries.mkdir()
    scripts = {
        "scontrol": 'tr "," "\\n" <<< "${@: -1}"',
        "srun": """
            while [[ $1 == --* ]]; do [[ $1 == --nodelist=* ]] && list=${1#*=}; shift; done
            rank=0
            for machine in ${list//,/ }; do MACHINE=$machine SLURM_PROCID=$rank "$@" || exit; rank=$((rank + 1)); done
        """,
        "accelerate": f'echo "$MACHINE | accelerate $*" >> {calls}',
        "vllm": f'echo "$MACHINE | vllm $*" >> {calls}',
    }
    for name, script in scripts.items():
        (binaries / name).write_text(f"#!/bin/bash\n{script}\n")
        (binaries / name).chmod(0o755)

    def run(machines, arguments, **environment):
        path = f"{binaries}:{os.environ['PATH']}"
        world = {**os.environ, **environment, "PATH": path, "SLURM_JOB_NODELIST": machines}
        subprocess.run(["bash", SCRIPT, *arguments], env=world, check=True, capture_output=True, cwd=ROOT)
        return sorted(calls.read_text().splitlines())

    return run


def test_a_job_on_one_machine(cluster):
    (line,) = cluster("n1", ["training.sft", "--config", "a b.yaml"])
    assert line == (
        "n1 | accelerate launch --config_file training/accelerate/4gpu.yaml -m training.sft --config a b.yaml"
    )


def test_a_job_on_two_machines_tells_each_its_rank_and_the_address_of_the_first(cluster):
    config = "training/accelerate/16gpu_2nodes.yaml"
    lines = cluster("n1,n2", ["training.grpo"], ACCELERATE=config)
    for rank, line in enumerate(lines):
        assert line == (
            f"n{rank + 1} | accelerate launch --config_file {config} --machine_rank {rank} --main_process_ip n1 "
            "--main_process_port 29500 -m training.grpo"
        )


def test_the_last_machine_serves_the_answers_where_vllm_is_asked_for(cluster):
    lines = cluster("n1,n2,n3", ["training.grpo", "--rollouts", "server"], VLLM="some/model")
    assert [line.split(" launch")[0] for line in lines[:2]] == ["n1 | accelerate", "n2 | accelerate"]
    assert all(line.endswith("--rollouts server --vllm_base_url http://n3:8000") for line in lines[:2])
    assert lines[2].startswith("n3 | vllm serve some/model --port 8000 --weight-transfer-config")


@pytest.mark.train
def test_two_processes_get_the_loss_of_one(untrained, tmp_path):
    data = exports.make(tmp_path / "export", 8)
    settings = {"max_steps": 3, "batch_size": 4, "save_steps": 0, "logging_steps": 1, "balance": True}
    settings |= {"max_pixels": 112 * 112, "learning_rate": 1e-3, "warmup": 0, "per_device_batch_size": 2}
    outs = [tmp_path / "one", tmp_path / "two"]
    one, two = (killing.command("sft", SMOKE, untrained, data, out, **settings) for out in outs)
    launcher = Path(sys.executable).with_name("accelerate")
    config = ROOT / "training" / "accelerate" / "2cpu.yaml"
    killing.finish(one)
    killing.finish(
        [str(launcher), "launch", "--config_file", str(config), "--main_process_port", "0", *two[1:]]
    )
    # Two really ran: accelerate starts one, and says nothing, where it does not like what it is asked for.
    assert "on 2 processes" in (outs[1] / "README.md").read_text()
    assert "processes" not in (outs[0] / "README.md").read_text()
    logs = [[json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()] for out in outs]
    assert len(logs[0]) == len(logs[1]) == 3
    for name, within in (("loss", 1e-5), ("grad_norm", 1e-4)):
        assert [line[name] for line in logs[1]] == pytest.approx([line[name] for line in logs[0]], rel=within)
    assert logs[0][2]["loss"] < logs[0][0]["loss"]
