"""The dry run's memory: exact where it can be counted by hand, in the right order of magnitude where it cannot."""

import pytest
import torch

from tests.test_grpo import small as small_grpo
from tests.test_sft import small
from training.checkpoint import open_network, skeleton
from training.memory import describe, estimate
from training.rates import module_kind


def counts(network):
    kinds = {"language": 0, "vision": 0, "merger": 0}
    for name, parameter in network.named_parameters():
        kinds[module_kind(name)] += parameter.numel()
    return kinds


def test_weights_gradients_and_adam_are_16_bytes_a_trained_parameter_and_4_a_frozen_one(untrained):
    network = skeleton(untrained)
    kinds = counts(network)
    whole = sum(kinds.values())
    assert estimate(network, small(), 50, 20, 1)[0] == 16 * whole
    frozen = estimate(network, small(vision_learning_rate=0), 50, 20, 1)[0]
    assert frozen == 16 * whole - 12 * kinds["vision"]
    assert estimate(network, small_grpo(beta=0.04), 50, 20, 1)[0] == 20 * whole


def test_activations_grow_with_rows_and_tokens_and_shrink_with_checkpointing(untrained):
    network = skeleton(untrained)
    few, more, many = (estimate(network, small(), text, 20, rows)[1] for text, rows in ((50, 1), (100, 1), (100, 4)))
    assert few < more and many == 4 * more
    assert estimate(network, small(gradient_checkpointing=True), 100, 20, 4)[1] < many
    assert estimate(network, small(vision_learning_rate=0), 100, 20, 4)[1] < many


def test_activations_are_near_what_a_forward_pass_keeps(untrained):
    network, kept = open_network(untrained), {}
    words = torch.randint(5, 200, (2, 200))

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = sum(p.untyped_storage().nbytes() for p in network.parameters())
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(input_ids=words, labels=words)
    own = {p.untyped_storage().data_ptr() for p in network.parameters()}
    measured = sum(size for place, size in kept.items() if place not in own)
    assert weights and 0.4 < estimate(network, small(vision_learning_rate=0), 200, 0, 2)[1] / measured < 2.5


@pytest.mark.parametrize("bf16", [True, False])
def test_the_paper_s_model_gets_numbers_that_a_person_would_expect(bf16):
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    words = {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "vocab_size": 151936}
    words |= {"num_attention_heads": 12, "num_key_value_heads": 2, "tie_word_embeddings": True}
    config = Qwen2VLConfig(text_config=words, vision_config={"depth": 32, "embed_dim": 1280, "hidden_size": 1536})
    config.tie_word_embeddings = True
    with torch.device("meta"):
        network = Qwen2VLForConditionalGeneration(config)
    fixed, moving = estimate(network, small(bf16=bf16), 300, 300, 4)
    assert 32 < fixed / 2**30 < 36  # 2.2 billion parameters x 16 bytes
    assert 2 < moving / 2**30 < 40
    assert "GiB for weights, gradients and Adam" in describe(network, small(), 300, 300, 4)
