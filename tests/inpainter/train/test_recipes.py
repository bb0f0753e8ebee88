"""Stages, learning rates and what recipes refuse."""

import pytest

from simpaint.errors import InputError
from simpaint.inpainter.train.recipes import RECIPES, Recipe, Stage


def test_a_step_finds_its_stage_and_the_photos_seen_before() -> None:
    recipe = Recipe(stages=(Stage(8, 3, 4), Stage(16, 2, 5)))
    expected = [(8, 0), (8, 4), (8, 8), (16, 12), (16, 17)]
    assert [(recipe.at(s)[0].size, recipe.at(s)[1]) for s in range(recipe.steps)] == expected
    assert recipe.size == 16
    with pytest.raises(IndexError):
        recipe.at(5)


def test_rates_rise_through_the_warmup_and_fall_to_zero_with_the_cosine() -> None:
    recipe = Recipe(stages=(Stage(8, 100, 1),), learning_rate=1, schedule="cosine", warmup=9)
    rates = [recipe.rate(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[50] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0)
    assert max(rates) == max(rates[8:11])
    assert {Recipe().rate(step) for step in (0, 10, 299_999)} == {1e-4}


def test_the_papers_recipe_is_adam_1e_4_batch_12_without_augmentation() -> None:
    recipe = RECIPES["paper"]
    assert (recipe.learning_rate, recipe.stages[0].batch, recipe.flip) == (1e-4, 12, False)
    assert (recipe.average, recipe.clip, recipe.schedule) == (0, None, "constant")


def test_photos_to_be_jittered_are_cached_with_room() -> None:
    assert (RECIPES["small-cpu"].size, RECIPES["small-cpu"].cached) == (128, 200)
    assert (RECIPES["paper"].size, RECIPES["paper"].cached) == (256, 256)


def test_recipes_that_cannot_be_are_refused() -> None:
    for stages in ((), (Stage(16, 1, 1), Stage(8, 1, 1)), (Stage(8, 0, 1),), (Stage(4, 1, 1),)):
        with pytest.raises(InputError):
            Recipe(stages=stages)
    with pytest.raises(InputError):
        Recipe(learning_rate=0)
    with pytest.raises(InputError, match=r"share of jittered photos is 0 to 1, not 1.5"):
        Recipe(jitter=1.5)
