"""Batches of pairs and the losses over two tables, against the slow way."""

import numpy as np
import pytest
import torch

from interplay.errors import BadData, BadSetting, UnknownName
from interplay.learn import losses
from interplay.learn.negatives import held
from interplay.learn.pairs import LOSSES, Pairs, log_popularity, pair_batches, shrinkage, with_bias
from interplay.types import Dataset, Events, Ids


def drawn(dataset, epoch=0, **settings):
    pairs = Pairs.of(dataset)
    return pairs, list(pair_batches(pairs, **settings)(epoch, np.random.default_rng([0, epoch])))


@pytest.mark.parametrize("grouped", [False, True])
def test_every_pair_is_met_once_an_epoch_in_another_order(people, grouped):
    settings = {"loss": "softmax", "batch": 64, "negatives": 5, "grouped": grouped}
    pairs, batches = drawn(people, **settings)
    met = [(b.users[b.owner] * pairs.n_items + b.items).numpy() for b in batches]
    assert (np.sort(np.concatenate(met)) == pairs.keys).all() and len(batches) == -(-len(pairs.keys) // 64)
    _, again = drawn(people, **settings)
    assert all(torch.equal(a.items, b.items) and torch.equal(a.negatives, b.negatives) for a, b in zip(batches, again))  # noqa: B905
    _, next_one = drawn(people, epoch=1, **settings)
    assert not torch.equal(batches[0].items, next_one[0].items)


def test_own_negatives_are_not_taken_and_a_shared_pool_hides_what_is(people):
    pairs, batches = drawn(people, loss="bpr", batch=200, negatives=2)
    for b in batches:
        assert not held(pairs.keys, b.users[b.owner].numpy(), b.negatives.numpy(), pairs.n_items).any()
    _, batches = drawn(people, loss="softmax", batch=200, negatives=15)
    for b in batches:
        grid = np.broadcast_to(b.negatives.numpy(), (len(b.users), len(b.negatives)))
        hidden = np.zeros(grid.shape, bool)
        hidden[b.hidden[0].numpy(), b.hidden[1].numpy()] = True
        np.testing.assert_array_equal(hidden, held(pairs.keys, b.users.numpy(), grid, pairs.n_items))


def test_a_pool_as_large_as_the_catalogue_is_the_catalogue(people):
    _, batches = drawn(people, loss="softmax", batch=200, negatives=people.n_items)
    assert batches[0].negatives.tolist() == list(range(people.n_items))


def test_the_softmax_is_that_of_each_pair_against_what_its_user_did_not_take(people):
    torch.manual_seed(0)
    users, items = torch.randn(people.n_users, 6), torch.randn(people.n_items, 6)
    pairs, batches = drawn(people, loss="softmax", batch=100, negatives=people.n_items, grouped=True)
    batch, slow = batches[0], []
    for user, item in zip(batch.users[batch.owner].tolist(), batch.items.tolist(), strict=True):
        free = [j for j in range(pairs.n_items) if user * pairs.n_items + j not in pairs.keys]
        slow.append(losses.sampled_softmax(users[user] @ items[item][:, None], users[user] @ items[free].T, 0.5))
    fast = LOSSES["softmax"].of(users[batch.users], items, batch, 0.5)
    torch.testing.assert_close(fast, torch.stack(slow).mean())


def test_bpr_compares_each_pair_with_its_own_negatives(people):
    torch.manual_seed(0)
    users, items = torch.randn(people.n_users, 6), torch.randn(people.n_items, 6)
    for negatives in (1, 3):
        _, batches = drawn(people, loss="bpr", batch=100, negatives=negatives)
        b = batches[0]
        own = users[b.users[b.owner]]
        slow = losses.bpr((own * items[b.items]).sum(1), (own[:, None] * items[b.negatives]).sum(2))
        torch.testing.assert_close(LOSSES["bpr"].of(users[b.users], items, b, 1.0), slow)


def test_the_pool_kernel_has_the_gradient_of_the_plain_formula():
    torch.manual_seed(0)
    rows, pool = torch.randn(3, 4, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    hidden = torch.tensor([0, 2]), torch.tensor([1, 4])
    weight = torch.tensor([1.0, -2.0, 0.5])
    fast = losses.pool_log_sum_exp(rows, pool, hidden)
    got = torch.autograd.grad((fast * weight).sum(), [rows, pool])
    plain = (rows @ pool.T).index_put(hidden, torch.tensor(-torch.inf)).logsumexp(dim=1)
    expected = torch.autograd.grad((plain * weight).sum(), [rows, pool])
    torch.testing.assert_close(fast, plain)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_a_user_who_took_the_whole_pool_neither_gains_nor_breaks():
    rows, pool = torch.ones(1, 2, requires_grad=True), torch.ones(1, 2, requires_grad=True)
    found = losses.pool_log_sum_exp(rows, pool, (torch.tensor([0]), torch.tensor([0])))
    loss = torch.nn.functional.softplus(found - 1.0).sum()
    loss.backward()
    assert float(loss.detach()) == 0.0 and not rows.grad.any() and not pool.grad.any()


def test_shrinkage_is_half_the_squared_length_of_what_a_batch_uses(people):
    users, items = torch.randn(people.n_users, 6), torch.randn(people.n_items, 6)
    _, batches = drawn(people, loss="bpr", batch=50, negatives=1)
    b = batches[0]
    used = users[b.users[b.owner]], items[b.items], items[b.negatives[:, 0]]
    slow = sum((t**2).sum() for t in used) / 2 / len(b.items)
    torch.testing.assert_close(shrinkage(users, items, b), slow)


def test_a_bias_is_added_to_every_inner_product():
    users, items, bias = torch.randn(3, 4), torch.randn(5, 4), torch.randn(5)
    mine, theirs = with_bias(users, items, bias)
    torch.testing.assert_close(mine @ theirs.T, users @ items.T + bias)
    np.testing.assert_allclose(log_popularity(np.array([0.0, 1.0, np.e])), [0, 0, 1], atol=1e-6)


def test_what_cannot_be_meant_is_refused(people):
    empty = Dataset(name="void", users=Ids(["a"]), items=Ids(["b"]),
                    events=Events(user=np.zeros(0, np.int32), item=np.zeros(0, np.int32)))  # fmt: skip
    with pytest.raises(BadData, match="'void' has no events"):
        Pairs.of(empty)
    with pytest.raises(UnknownName, match="no loss called 'bpt'"):
        pair_batches(Pairs.of(people), loss="bpt", batch=5, negatives=1)
    with pytest.raises(BadSetting, match="at least 1"):
        pair_batches(Pairs.of(people), loss="bpr", batch=5, negatives=0)
