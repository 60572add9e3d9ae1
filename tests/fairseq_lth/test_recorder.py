"""What the recorder hears is what the model computes, and listening changes nothing."""

from types import SimpleNamespace

import pytest
import torch
from random_models import VARIANTS, random_model


def batch_of(task, sentences):
    from fairseq.data.language_pair_dataset import collate

    samples = [
        {"id": number, "source": torch.tensor([*source, 2]), "target": torch.tensor([*target, 2])}
        for number, (source, target) in enumerate(sentences)
    ]
    sample = collate(samples, pad_idx=1, eos_idx=2, left_pad_source=task.cfg.left_pad_source)
    return sample["net_input"]


SENTENCES = [([4, 5, 6, 7], [9, 8]), ([10], [4, 5, 6, 7, 11]), ([12, 4, 3, 9, 22, 6, 5], [5])]


def heard(model, inputs):
    from fairseq_lth.capture.recorder import Recorder

    recorder, states, attention = Recorder(model), {}, {}
    keep = [lambda *name_and_value, kept=kept: kept.__setitem__(name_and_value[:2], name_and_value[2].clone())
            for kept in (states, attention)]  # fmt: skip
    with torch.no_grad(), recorder.listen(recorder.states, recorder.attention, *keep):
        output, _ = model(**inputs)
    return states, attention, output


@pytest.mark.parametrize("flags", VARIANTS.values(), ids=VARIANTS)
def test_states_and_outputs_are_the_models_own_bit_for_bit(corpus, flags):
    model, task, _ = random_model(corpus, flags)
    inputs = batch_of(task, SENTENCES)
    states, attention, output = heard(model, inputs)
    with torch.no_grad():
        expected, _ = model(**inputs)
        encoded = model.encoder(inputs["src_tokens"], inputs["src_lengths"], return_all_hiddens=True)
        features, extra = model.decoder(inputs["prev_output_tokens"], encoder_out=encoded, features_only=True)
    assert torch.equal(output, expected)
    for component, own in (("encoder", encoded["encoder_states"]), ("decoder", extra["inner_states"])):
        assert [layer for part, layer in states if part == component and layer != "norm"] == [
            str(number) for number in range(len(own))
        ]
        for number, state in enumerate(own):
            assert torch.equal(states[component, str(number)], state)
    final = {("encoder", "norm"): encoded["encoder_out"][0], ("decoder", "norm"): features.transpose(0, 1)}
    if "normalize-before" in flags:
        assert all(torch.equal(states[name], state) for name, state in final.items())
    else:
        assert not final.keys() & states.keys()
    kinds = {(kind, weights.shape[1]) for (kind, _), weights in attention.items()}
    assert kinds == {("encoder_self", 2), ("encoder_decoder", 4), ("decoder_self", 4)}


@pytest.mark.parametrize("flags", VARIANTS.values(), ids=VARIANTS)
def test_attention_is_that_of_fairseqs_own_code_per_head(corpus, flags):
    model, task, _ = random_model(corpus, flags)
    inputs = batch_of(task, SENTENCES)
    _, attention, _ = heard(model, inputs)
    expected, handles = {}, []

    def again(name):
        def hook(module, args, kwargs, output):
            module.skip_embed_dim_check = True  # fairseq's own code instead of torch's
            weights = module.forward(*args, **{**kwargs, "need_head_weights": True})[1]  # (heads, batch, T, S)
            module.skip_embed_dim_check = False
            expected[name] = weights.transpose(0, 1).clone()

        return hook

    from fairseq_lth.capture.recorder import Recorder

    for name, module in Recorder(model)._attentions.items():
        handles.append(module.register_forward_hook(again(name), with_kwargs=True))
    with torch.no_grad():
        model(**inputs)
    assert attention.keys() == expected.keys()
    source, target = inputs["src_tokens"].ne(1), inputs["prev_output_tokens"].ne(1)
    for (kind, layer), weights in attention.items():
        queries = source if kind == "encoder_self" else target
        real = weights.transpose(1, 2)[queries]  # (n_queries, heads, keys): rows of padding mean nothing
        torch.testing.assert_close(real, expected[kind, layer].transpose(1, 2)[queries], atol=1e-6, rtol=0)
        torch.testing.assert_close(real.sum(-1), torch.ones(real.shape[:2]), atol=1e-6, rtol=0)
        assert (real[:, 0] - real[:, 1]).abs().max() > 1e-3  # heads differ: they are not averaged


def test_listening_draws_no_random_numbers_and_leaves_no_hooks(corpus):
    model, task, _ = random_model(corpus, VARIANTS["layerdrop"])
    inputs = batch_of(task, SENTENCES)
    torch.manual_seed(3)
    with torch.no_grad():
        model(**inputs)
    expected = torch.rand(3)
    torch.manual_seed(3)
    heard(model, inputs)
    assert torch.equal(torch.rand(3), expected)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_model_without_transformer_layers_is_refused(corpus):
    from fairseq_lth.capture.recorder import Recorder, RecorderError

    with pytest.raises(RecorderError, match="SimpleNamespace"):
        Recorder(SimpleNamespace(encoder=torch.nn.LSTM(2, 2), decoder=torch.nn.LSTM(2, 2)))
    model, _, _ = random_model(corpus, "--cross-self-attention --no-cross-attention")
    with pytest.raises(RecorderError, match="cross-self-attention"):
        Recorder(model)
