"""Answers of learners to notebook 11: wrong ones by words of what they are told, right ones by style."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import torch
from sklearn.metrics import mutual_info_score


def nats(codes, classes):
    pairs = [(a, c) for a, c in zip(codes.ravel().tolist(), classes.ravel().tolist(), strict=True) if c >= 0]
    both, one, two = Counter(pairs), Counter(a for a, _ in pairs), Counter(c for _, c in pairs)
    n = len(pairs)
    return sum(k / n * np.log(k * n / (one[a] * two[c])) for (a, c), k in both.items())


def chance(codes, classes, rng, count=200):
    return np.mean([nats(codes[rng.permutation(len(codes))], classes) for _ in range(count)])


def by_counting(codes, classes, rng):
    return nats(codes, classes), chance(codes, classes, rng)


def by_torch(codes, classes, rng):
    def information(codes):
        known = torch.from_numpy(classes >= 0)
        a, c = torch.from_numpy(codes.copy())[known], torch.from_numpy(classes)[known]
        joint = torch.zeros(int(a.max()) + 1, 3, dtype=torch.float64)
        joint.index_put_((a, c), torch.ones(len(a), dtype=torch.float64), accumulate=True)
        joint /= joint.sum()
        return (torch.xlogy(joint, joint) - torch.xlogy(joint, joint.sum(1, True) * joint.sum(0))).sum()

    order = np.arange(len(codes))
    found = []
    for _ in range(200):
        rng.shuffle(order)
        found.append(information(codes[order]))
    return torch.stack([information(codes), torch.stack(found).mean()])


def by_entropies(codes, classes, rng):
    def entropy(values):
        shares = np.unique(values, return_counts=True)[1] / len(values)
        return -(shares * np.log(shares)).sum()

    def information(codes):
        a, c = codes[classes >= 0], classes[classes >= 0]
        return entropy(a) + entropy(c) - entropy(10 * a + c)

    return [information(codes), sum(information(rng.permutation(codes)) for _ in range(200)) / 200]


def by_library(codes, classes, rng):
    def information(codes):
        return mutual_info_score(codes[classes >= 0], classes[classes >= 0])

    return information(codes), np.mean([information(rng.permutation(codes)) for _ in range(200)])


def in_bits(codes, classes, rng):
    return nats(codes, classes) / np.log(2), chance(codes, classes, rng) / np.log(2)


def with_last_class(codes, classes, rng):
    def information(codes):
        joint = np.zeros((codes.max() + 1, classes.max() + 1))
        np.add.at(joint, (codes, classes), 1)
        joint /= joint.sum()
        alone = joint.sum(1, keepdims=True) * joint.sum(0)
        return (joint[joint > 0] * np.log(joint[joint > 0] / alone[joint > 0])).sum()

    return information(codes), np.mean([information(rng.permutation(codes)) for _ in range(200)])


def with_a_class_of_its_own(codes, classes, rng):
    return nats(codes, classes + 1), chance(codes, classes + 1, rng)


def counted_once(codes, classes, rng):
    known = classes >= 0
    joint = np.zeros((codes.max() + 1, 3))
    joint[codes[known], classes[known]] += 1
    joint /= joint.sum()
    alone = joint.sum(1, keepdims=True) * joint.sum(0)
    return (joint[joint > 0] * np.log(joint[joint > 0] / alone[joint > 0])).sum(), 0.03


def with_zeros(codes, classes, rng):
    known = classes >= 0
    joint = np.zeros((codes.max() + 1, 3))
    np.add.at(joint, (codes[known], classes[known]), 1 / known.sum())
    with np.errstate(all="ignore"):
        return (joint * np.log(joint / (joint.sum(1, keepdims=True) * joint.sum(0)))).sum(), 0.03


def over_transitions(codes, classes, rng):
    singles = [nats(rng.permutation(codes.ravel()).reshape(codes.shape), classes) for _ in range(200)]
    return nats(codes, classes), np.mean(singles)


def in_time(codes, classes, rng):
    return nats(codes, classes), np.mean([nats(rng.permutation(codes, axis=1), classes) for _ in range(200)])


def together(codes, classes, rng):
    found = []
    for _ in range(200):
        order = rng.permutation(len(codes))
        found.append(nats(codes[order], classes[order]))
    return nats(codes, classes), np.mean(found)


def difference(codes, classes, rng):
    return nats(codes, classes) - chance(codes, classes, rng)


def reversed_pair(codes, classes, rng):
    return chance(codes, classes, rng), nats(codes, classes)


def a_third(codes, classes, rng):
    return nats(codes, classes), 1 / 3


def no_chance(codes, classes, rng):
    return nats(codes, classes), 0


def all_exchanges(codes, classes, rng):
    return [nats(codes, classes), *(nats(rng.permutation(codes), classes) for _ in range(200))]


def summed(codes, classes, rng):
    return nats(codes, classes), 200 * chance(codes, classes, rng)


def shuffled_in_place(codes, classes, rng):
    truth, found = nats(codes, classes), []
    for _ in range(200):
        rng.shuffle(codes)
        found.append(nats(codes, classes))
    return truth, np.mean(found)


def normalised(codes, classes, rng):
    known = classes >= 0
    entropies = [
        -(s * np.log(s)).sum()
        for s in (np.unique(v, return_counts=True)[1] / known.sum() for v in (codes[known], classes[known]))
    ]
    return nats(codes, classes) / np.mean(entropies), chance(codes, classes, rng) / np.mean(entropies)


def own_generator(codes, classes, rng):
    return nats(codes, classes), chance(codes, classes, np.random.default_rng(0))


def game_by_game(starts, clips, rng):
    order, drawn = rng.permutation(len(starts)), []
    for number in range(clips):
        drawn.append(rng.choice(starts[order[number % len(starts)]]))
    rng.shuffle(drawn)
    return drawn


def divided(starts, clips, rng):
    share, rest = divmod(clips, len(starts))
    more = set(rng.choice(len(starts), rest, replace=False).tolist())
    parts = [torch.from_numpy(rng.choice(own, share + (g in more))) for g, own in enumerate(starts)]
    return torch.cat(parts)[torch.from_numpy(rng.permutation(clips))]


def without_repeats(starts, clips, rng):
    order = rng.permutation(len(starts))
    counts = [clips // len(starts) + (place < clips % len(starts)) for place in range(len(starts))]
    parts = [rng.choice(starts[game], counts[place], replace=False) for place, game in enumerate(order)]
    return rng.permutation(np.concatenate(parts))


def one_heap(starts, clips, rng):
    return rng.choice(np.concatenate(starts), clips)


def a_game_for_each(starts, clips, rng):
    return np.array([rng.choice(starts[rng.integers(len(starts))]) for _ in range(clips)])


def one_game(starts, clips, rng):
    return rng.choice(starts[rng.integers(len(starts))], clips)


def rest_forgotten(starts, clips, rng):
    return rng.permutation(np.concatenate([rng.choice(own, clips // len(starts)) for own in starts]))


def rest_to_the_first(starts, clips, rng):
    drawn = [rng.choice(starts[number % len(starts)]) for number in range(clips)]
    return rng.permutation(drawn)


def in_blocks(starts, clips, rng):
    order = rng.permutation(len(starts))
    more = set(order[: clips % len(starts)].tolist())
    return np.concatenate([rng.choice(own, clips // len(starts) + (g in more)) for g, own in enumerate(starts)])


def round_robin(starts, clips, rng):
    first = rng.integers(len(starts)) if clips % len(starts) else 0
    return np.array([rng.choice(starts[(first + number) % len(starts)]) for number in range(clips)])


def places(starts, clips, rng):
    return np.array([rng.integers(len(starts[number % len(starts)])) for number in range(clips)])


def for_each_game(starts, clips, rng):
    return rng.permutation(np.concatenate([rng.choice(own, clips) for own in starts]))


def a_list_of_games(starts, clips, rng):
    return [rng.choice(own, clips // len(starts)) for own in starts]


def unseeded(starts, clips, rng):
    order = random.sample(range(len(starts)), len(starts))
    drawn = [random.choice(starts[order[number % len(starts)]].tolist()) for number in range(clips)]
    return random.sample(drawn, clips)


def the_last_never(starts, clips, rng):
    order = rng.permutation(len(starts))
    drawn = [starts[g][rng.integers(len(starts[g]) - 1)] for g in np.resize(order, clips)]
    return rng.permutation(drawn)


def always_the_same(starts, clips, rng):
    return game_by_game(starts, clips, np.random.default_rng(clips))


def used_up(starts, clips, rng):
    for own in starts:
        rng.shuffle(own)
    order = rng.permutation(len(starts))
    return rng.permutation([starts[order[n % len(starts)]][n // len(starts)] for n in range(clips)])


WRONG: dict[str, dict[str, Any]] = {
    "11.1": {
        "That is in bits": in_bits,
        "index -1 is the last class": with_last_class,
        "as a class of their own": with_a_class_of_its_own,
        "Each pair is counted once": counted_once,
        "have the logarithm of 0": with_zeros,
        "single transitions were exchanged": over_transitions,
        "The order in time was exchanged": in_time,
        "the information itself": together,
        "one number. Return both": difference,
        "in the other order": reversed_pair,
        "chance level of an *accuracy*": a_third,
        "would need endless data": no_chance,
        "the *mean* over all exchanges": all_exchanges,
        "The chance level was summed": summed,
        "in place": shuffled_in_place,
        "normalised by the mean entropy": normalised,
        "With another `rng`": own_generator,
    },
    "11.2": {
        "drawn from one heap": one_heap,
        "equal on average only": a_game_for_each,
        "All clips of a batch are of one game": one_game,
        "`clips % len(starts)`, are missing": rest_forgotten,
        "left over always go to the same games": rest_to_the_first,
        "always come in the same order": in_blocks,
        "Shuffle the result": round_robin,
        "take `own[place]`": places,
        "the number for each game": for_each_game,
        "one entry for each game": a_list_of_games,
        "Draw from `rng` alone": unseeded,
        "never comes up": the_last_never,
        "Every batch has the same clips": always_the_same,
        "changes `starts` in place": used_up,
    },
}

RIGHT: dict[str, dict[str, Any]] = {
    "11.1": {"counting": by_counting, "torch": by_torch, "entropies": by_entropies, "scikit-learn": by_library},
    "11.2": {"game by game": game_by_game, "divmod": divided, "without repeats": without_repeats},
}
