"""ngcf and lightgcn against their papers' equations, worked with dense matrices."""

import numpy as np
import pytest
import torch

from interplay.errors import UnknownName
from interplay.learn.descend import Descent
from interplay.learn.propagate import Propagation
from interplay.models.graphs import Graphs, GraphsConfig, Light, Ngcf, graph
from interplay.ops.sparse import interaction_matrix
from interplay.types import Requests, Run
from small import made

# three users, four items; item 3 and nobody else has no neighbour
R = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 1, 0]], np.float64)
A = np.block([[np.zeros((3, 3)), R], [R.T, np.zeros((4, 4))]])
SMALL = made(np.argwhere(R), 3, 4)
QUICK = Descent(rate=0.01, batch=64, epochs=3)


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def symmetric():
    degree = A.sum(axis=1)
    root = np.divide(1.0, np.sqrt(degree), out=np.zeros(7), where=degree > 0)
    return root[:, None] * A * root


def over(norm):
    return Propagation(graph(interaction_matrix(SMALL), norm))


def test_the_graph_is_normalised_as_the_papers_say():
    x = interaction_matrix(SMALL)
    np.testing.assert_allclose(graph(x, "symmetric").toarray(), symmetric(), atol=1e-7)
    looped = A + np.eye(7)
    np.testing.assert_allclose(graph(x, "row").toarray(), looped / looped.sum(axis=1, keepdims=True), atol=1e-7)


def test_lightgcn_is_the_mean_of_the_layers():
    net = Light(GraphsConfig(dim=5, layers=3), 7)
    e, a = net.ego.detach().numpy(), symmetric()
    slow = (e + a @ e + a @ a @ e + a @ a @ a @ e) / 4
    np.testing.assert_allclose(net(over("symmetric"))[0].detach().numpy(), slow, atol=1e-6)


def slow_ngcf(net, a, e, loop):
    layers = [e]
    for k in range(len(net.sums)):
        w1, b1, w2, b2 = (p.detach().numpy() for layer in (net.sums[k], net.products[k]) for p in layer.parameters())
        e = layers[-1]
        s = a @ e
        layers.append(leaky((s if loop else s + e) @ w1.T + b1) + leaky((e * s) @ w2.T + b2))
    return layers


@pytest.mark.parametrize("norm", ["symmetric", "row"])
def test_an_ngcf_layer_is_equation_7(norm):
    net = Ngcf(GraphsConfig(encoder="ngcf", norm=norm, dim=5, layers=2), 7).eval()
    a = graph(interaction_matrix(SMALL), norm).toarray()
    layers = slow_ngcf(net, a, net.ego.detach().numpy(), norm == "row")
    slow = np.hstack([layers[0], *(unit(e) for e in layers[1:])])
    np.testing.assert_allclose(net(over(norm))[0].detach().numpy(), slow, atol=1e-5)


def test_messages_are_dropped_in_training_only():
    net = Ngcf(GraphsConfig(encoder="ngcf", dim=5, dropout=0.5), 7)
    assert not torch.equal(net(over("symmetric"))[0], net(over("symmetric"))[0])
    net.eval()
    assert torch.equal(net(over("symmetric"))[0], net(over("symmetric"))[0])


def test_l2_shrinks_first_vectors_of_lightgcn_and_final_ones_of_ngcf():
    light, ngcf = Light(GraphsConfig(dim=5), 7), Ngcf(GraphsConfig(encoder="ngcf", dim=5), 7).eval()
    assert light(over("symmetric"))[1] is light.ego
    final, shrunk = ngcf(over("symmetric"))
    assert final is shrunk and final.shape == (7, 20)


@pytest.mark.parametrize("settings", [{}, {"encoder": "ngcf"}, {"encoder": "ngcf", "norm": "row"}])
def test_isolated_nodes_are_never_nan_and_come_last(settings):
    model = Graphs(GraphsConfig(dim=4, descent=QUICK, **settings)).fit(SMALL)
    assert np.isfinite(model.vectors.items).all() and not model.vectors.items[3].any()
    slates = model.retrieve(Requests.of(SMALL, np.arange(3)), 4)
    assert (slates.items[:, 1] == 3).all() and np.isfinite(slates.scores[:, :2]).all()
    assert (model.similar_items(np.array([3]), 3).items == -1).all()


def test_a_stranger_to_lightgcn_is_the_user_with_that_history_less_her_own_vector(people):
    model = Graphs(GraphsConfig(dim=8, descent=QUICK)).fit(people)
    ego = model.net.ego.detach().numpy()[: people.n_users]
    active = np.flatnonzero(model.rows.events > 0)
    folded = model.fold(interaction_matrix(people)[active])
    np.testing.assert_allclose(folded, model.vectors.users[active] - ego[active] / 4, atol=1e-5)


@pytest.mark.parametrize("norm", ["symmetric", "row"])
def test_a_stranger_to_ngcf_is_a_new_node_that_changes_nobody_else(norm):
    model = Graphs(GraphsConfig(encoder="ngcf", norm=norm, dim=4, layers=3, descent=QUICK)).fit(SMALL)
    a = graph(interaction_matrix(SMALL), norm).toarray()
    layers = slow_ngcf(model.net, a, model.net.ego.detach().numpy(), norm == "row")
    history, degree = [0, 1], A.sum(axis=1)[3:]
    own, found = np.zeros((1, 4)), [np.zeros((1, 4))]
    for k in range(3):
        sent = layers[k][3:][history]
        if norm == "symmetric":
            s = (sent / np.sqrt(len(history) * degree[history])[:, None]).sum(axis=0, keepdims=True)
        else:
            s = (sent.sum(axis=0, keepdims=True) + own) / (len(history) + 1)
        w1, b1, w2, b2 = (
            p.detach().numpy() for layer in (model.net.sums[k], model.net.products[k]) for p in layer.parameters()
        )
        own = leaky((s if norm == "row" else s + own) @ w1.T + b1) + leaky((own * s) @ w2.T + b2)
        found.append(unit(own))
    x = interaction_matrix(made([(0, 0), (0, 1)], 1, 4))
    np.testing.assert_allclose(model.fold(x), np.hstack(found), atol=1e-5)


def test_newer_events_than_the_fit_knew_change_the_answer(people):
    model = Graphs(GraphsConfig(dim=8, descent=QUICK)).fit(people)
    known = Requests.of(people, np.array([0], np.int32))
    items = known.history["item"].tolist()
    more = Requests(user=known.user, history=Requests.strangers([[*items, 1, 2]]).history)
    stranger = Requests.strangers([[*items, 1, 2]])
    assert model.retrieve(more, 5).equals(model.retrieve(stranger, 5))
    assert not model.retrieve(known, 5).equals(model.retrieve(Requests.strangers([items]), 5))


def test_the_loss_falls_for_every_encoder_and_loss(people):
    for encoder in ("light", "ngcf"):
        for settings in ({}, {"loss": "softmax", "similarity": "cosine", "temperature": 0.2, "negatives": 20}):
            config = GraphsConfig(encoder=encoder, dim=8, descent=Descent(rate=0.02, epochs=15, batch=128), **settings)
            losses = Graphs(config).fit(people).fitted["losses"]
            assert losses[-1] < 0.9 * losses[0], (encoder, settings)


def test_an_interrupted_fit_goes_on_to_the_same_vectors(people, tmp_path):
    config = GraphsConfig(encoder="ngcf", dropout=0.2, dim=8, descent=Descent(epochs=6, batch=64))
    cut = Run(checkpoint=tmp_path, seconds=1e-9)
    Graphs(config).fit(people, run=cut)  # one step, then out of time
    resumed = Graphs(config).fit(people, run=Run(checkpoint=tmp_path))
    alone = Graphs(config).fit(people)
    assert resumed.fitted["steps"] == alone.fitted["steps"]
    np.testing.assert_array_equal(resumed.vectors.items, alone.vectors.items)


def test_a_prior_adds_tempered_log_popularity_and_moves_with_the_state(people):
    config = GraphsConfig(
        dim=8, loss="softmax", similarity="cosine", temperature=0.2, prior=0.5, negatives=9, descent=QUICK
    )
    model = Graphs(config).fit(people)
    request = Requests.of(people, np.array([1], np.int32))
    slates = Graphs(config).restore(model.state()).retrieve(request, 5)
    cosine = model.vectors.items[slates.items[0]] @ model.vectors.users[1]
    log = np.log(model.rows.popularity[slates.items[0]])
    np.testing.assert_allclose(slates.scores[0], cosine + 0.5 * 0.2 * log, atol=1e-5)


def test_a_part_that_does_not_exist_is_refused_by_name():
    with pytest.raises(UnknownName, match="no norm called 'symetric'; nearest: \\['symmetric'\\]"):
        Graphs(GraphsConfig(norm="symetric"))
