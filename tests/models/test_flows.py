"""Information flows: one block worked from the paper's equations, and what padding may not do."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from interplay.errors import BadSetting, UnknownName
from interplay.models.flows import Block, CrossAttention, Flow, FlowNet, FlowsConfig, Gate

SHAPE = FlowsConfig(dim=4, heads=1, hidden=8, few_fields=2, few_events=3, few_tasks=2)
PLAIN = replace(SHAPE, residual=False, doubled=False, gated_by="old", pooled="sum")  # as the equations are printed
PRESENT = torch.tensor([[False, True, True, True], [False, False, False, False]])


def flow(present=PRESENT):
    g = torch.Generator().manual_seed(3)
    drawn = {"fields": 5, "events": 4, "tasks": 3, "few_fields": 2, "few_events": 3, "few_tasks": 2}
    return Flow(present=present, **{k: torch.randn(2, n, 4, generator=g) for k, n in drawn.items()})


def block(shape):
    torch.manual_seed(0)
    return Block(shape, 3)


def slow_ca(attention, queries, tokens, present=None):
    """CA(Q, K, V) of one row, one query after the other."""
    out = []
    for q in queries:
        kept = [x for i, x in enumerate(tokens) if present is None or present[i]]
        if not kept:
            out.append(torch.zeros_like(q))
            continue
        scores = torch.stack([attention.query(q) @ attention.key(x) / len(q) ** 0.5 for x in kept]).softmax(dim=0)
        out.append(sum(w * attention.value(x) for w, x in zip(scores, kept, strict=True)))
    return torch.stack(out)


def slow_gate(gate, tokens, proxies):
    return tokens * torch.sigmoid(gate.net(proxies.flatten()))


def test_a_block_is_its_six_flows_and_three_gates():
    b, f = block(PLAIN), flow()
    after, _ = b(f)
    for i in range(2):
        c, s, t, p = f.fields[i], f.events[i], f.tasks[i], f.present[i]
        ca = {k: (lambda q, x, a=a, m=None: slow_ca(a, q, x, m)) for k, a in b.reads.items()}
        few_c = ca["fields-events"](f.few_fields[i], s, m=p) + ca["fields-tasks"](f.few_fields[i], t)
        few_s = ca["events-fields"](f.few_events[i], c) + ca["events-tasks"](f.few_events[i], t)
        few_t = ca["tasks-fields"](f.few_tasks[i], c) + ca["tasks-events"](f.few_tasks[i], s, m=p)
        hat = ca["tasks-fields"](t, c) + ca["tasks-events"](t, s, m=p)
        for name, slow in (("few_fields", few_c), ("few_events", few_s), ("few_tasks", few_t)):
            torch.testing.assert_close(getattr(after, name)[i], slow)
        torch.testing.assert_close(after.fields[i], slow_gate(b.gates["fields"], c, f.few_fields[i]))
        torch.testing.assert_close(after.events[i], slow_gate(b.gates["events"], s, f.few_events[i]))
        torch.testing.assert_close(after.tasks[i], slow_gate(b.gates["tasks"], hat, f.few_tasks[i]))


def test_gates_may_read_the_proxies_after_the_cross_attention():
    b, f = block(replace(PLAIN, gated_by="updated")), flow()
    after, _ = b(f)
    torch.testing.assert_close(after.fields[0], slow_gate(b.gates["fields"], f.fields[0], after.few_fields[0]))


def test_the_doubled_gate_starts_near_one():
    torch.manual_seed(0)
    tokens, proxies = torch.ones(64, 3, 8), torch.randn(64, 2, 8)
    assert float(Gate(2, 8, 16)(tokens, proxies).mean().detach()) == pytest.approx(1.0, abs=0.1)
    assert float(Gate(2, 8, 16, doubled=False)(tokens, proxies).mean().detach()) == pytest.approx(0.5, abs=0.1)


def test_a_residual_adds_what_was_there_to_what_a_normalised_task_reads():
    b, f = block(replace(SHAPE, gates=False)), flow()
    after, _ = b(f)
    tasks = b.norms["tasks"](f.tasks)[0]
    read = slow_ca(b.reads["tasks-fields"], tasks, f.fields[0])
    read = read + slow_ca(b.reads["tasks-events"], tasks, f.events[0], PRESENT[0])
    torch.testing.assert_close(after.tasks[0], f.tasks[0] + read)


def test_ablations_leave_out_what_they_say():
    f = flow()
    plain, _ = block(replace(SHAPE, gates=False))(f)
    assert plain.fields is f.fields and plain.events is f.events
    lone = replace(f, tasks=f.tasks[:, :0], few_tasks=f.few_tasks[:, :0])
    without, seen = block(replace(SHAPE, task_tokens=False))(lone)
    assert without.tasks.shape[1] == 0 and seen == {}
    _, seen = block(replace(SHAPE, attention=False))(f)
    torch.testing.assert_close(seen["events"][0], torch.tensor([0, 1 / 3, 1 / 3, 1 / 3]).expand(3, -1))


def test_the_last_block_holds_what_the_heads_read_and_says_the_same_of_it():
    b, f = block(SHAPE), flow()
    last = Block(SHAPE, 3, last=True)
    last.load_state_dict({k: v for k, v in b.state_dict().items() if k in last.state_dict()})
    assert set(last.reads) == {"tasks-fields", "tasks-events"} and set(last.gates) == {"tasks"}
    torch.testing.assert_close(last(f)[0].tasks, b(f)[0].tasks)
    alone = replace(SHAPE, task_tokens=False)
    assert set(Block(alone, 3, last=True).reads) == {"fields-events", "events-fields"}


def net(shape=SHAPE, n_histories=2):
    torch.manual_seed(0)
    return FlowNet(5, n_histories, 3, shape).eval()


FIELDS = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(5))
EVENTS = torch.randn(2, 2, 6, 4, generator=torch.Generator().manual_seed(6))
HELD = torch.tensor([[[False] * 3 + [True] * 3, [False] * 6], [[False] * 6, [False] * 6]])


@pytest.mark.parametrize("shape", [SHAPE, PLAIN, replace(SHAPE, task_tokens=False), replace(SHAPE, attention=False)])
def test_an_empty_history_is_finite_and_padding_changes_nothing(shape):
    one = net(shape)
    logits = one(FIELDS, EVENTS, HELD)
    assert logits.shape == (2, 3) and torch.isfinite(logits).all()
    noisy = torch.where(HELD[..., None], EVENTS, torch.full_like(EVENTS, 9.0))
    torch.testing.assert_close(logits, one(FIELDS, noisy, HELD))


def test_task_tokens_see_fields_and_events_that_are_there():
    _, seen = net().looked(FIELDS, EVENTS, HELD)
    torch.testing.assert_close(seen["fields"].sum(dim=-1), torch.ones(2, 3))
    torch.testing.assert_close(seen["events"][0].sum(dim=-1), torch.ones(3))
    assert (seen["events"][1] == 0).all() and (seen["events"][0][:, ~HELD[0].flatten()] == 0).all()


def test_proxies_of_histories_are_pooled_projections():
    for pooled in ("mean", "sum"):
        one = net(replace(SHAPE, few_events=0, pooled=pooled))
        began = one.start(FIELDS, EVENTS, HELD)
        slow = sum(one.project(EVENTS[0, 0, t] + one.kinds[0]) for t in (3, 4, 5))
        torch.testing.assert_close(began.few_events[0, 0], slow / 3 if pooled == "mean" else slow)
        assert (began.few_events[0, 1] == 0).all()


def test_the_number_of_history_proxies_is_free():
    assert net().start(FIELDS, EVENTS, HELD).few_events.shape == (2, 3, 4)
    bare = net(n_histories=0)
    assert torch.isfinite(bare(FIELDS, EVENTS[:, :0], HELD[:, :0])).all()


def test_heads_must_divide_the_width_and_pools_have_names():
    with pytest.raises(BadSetting, match="multiple of heads"):
        CrossAttention(6, 4)
    with pytest.raises(UnknownName, match="pooled"):
        net(replace(SHAPE, pooled="max"))
    with pytest.raises(UnknownName, match="gated_by"):
        net(replace(SHAPE, gated_by="new"))


def test_cross_attention_with_heads_is_each_head_on_its_own_slice():
    torch.manual_seed(0)
    two = CrossAttention(4, 2)
    queries, tokens = torch.randn(1, 2, 4), torch.randn(1, 5, 4)
    q, k, v = two.query(queries)[0], two.key(tokens)[0], two.value(tokens)[0]
    slow = [torch.softmax(q[:, h] @ k[:, h].T / 2**0.5, dim=1) @ v[:, h] for h in (slice(0, 2), slice(2, 4))]
    torch.testing.assert_close(two(queries, tokens)[0][0], torch.cat(slow, dim=1))


def test_the_operations_grow_linearly_with_the_length_of_the_histories():
    one, lengths, counts = FlowNet(5, 2, 3, FlowsConfig()).eval(), (50, 200, 800), []
    for length in lengths:
        events = torch.randn(1, 2, length, 16)
        with FlopCounterMode(display=False) as counted:
            one(torch.randn(1, 5, 16), events, torch.ones(1, 2, length, dtype=torch.bool))
        counts.append(counted.get_total_flops())
    assert (np.diff(counts) == 2 * 2304 * np.diff(lengths)).all(), "as docs/systems/multitask.md says"
