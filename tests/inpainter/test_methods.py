from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from simpaint.data.drawn_faces import drawn_face
from simpaint.errors import InputError, WeightsError
from simpaint.inpainter import checkpoint
from simpaint.inpainter.dcgan import Generator, GeneratorConfig
from simpaint.inpainter.methods import METHODS, build_method
from simpaint.inpainter.methods.nearest import poisson_paste
from simpaint.inpainter.painters import load_coarse
from simpaint.inpainter.unet import SimUNet, UNetConfig, build_unet

from .tiny import tiny_sim, write_networks


def nothing_similar(photos: Tensor, masks: Tensor, k: int) -> Tensor:
    return photos.roll(1, 0)[:, None].expand(-1, k, -1, -1, -1)


def faces(count: int) -> Tensor:
    pixels = np.stack([drawn_face(np.random.default_rng(i), 32) for i in range(count)])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


def corner_and_middle() -> Tensor:
    masks = torch.zeros(2, 1, 32, 32)
    masks[0, :, :12, :9] = masks[1, :, 10:20, 12:25] = 1
    return masks


@pytest.mark.parametrize("name", METHODS)
def test_every_method_fills_a_plain_wall_with_its_colour(name: str) -> None:
    photos = torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1).expand(2, 3, 32, 32)
    masks = corner_and_middle()
    filled = build_method(name, nothing_similar).method(photos * (1 - masks), masks)
    torch.testing.assert_close(filled, photos.contiguous(), atol=5 / 255, rtol=0)


@pytest.mark.parametrize("name", METHODS)
def test_no_method_changes_a_batch_by_its_company(name: str) -> None:
    photos, masks = faces(2), corner_and_middle()
    hidden = photos * (1 - masks)

    def similar(photos: Tensor, masks: Tensor, k: int) -> Tensor:
        return (1 - photos)[:, None]

    method = build_method(name, similar).method
    alone = torch.cat([method(hidden[i : i + 1], masks[i : i + 1]) for i in range(2)])
    assert torch.equal(method(hidden, masks), alone)


def test_a_paste_solves_poissons_equation_as_a_dense_solver_does() -> None:
    rng = np.random.default_rng(0)
    photo, other = rng.random((2, 6, 7, 3)) * 0.2 + 0.4
    hole = rng.random((6, 7)) < 0.5
    hole[0, 0] = True
    inside = [tuple(p) for p in np.argwhere(hole)]
    matrix, right = np.zeros((len(inside), len(inside))), np.zeros((len(inside), 3))
    for row, (y, x) in enumerate(inside):
        for q in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= q[0] < 6 and 0 <= q[1] < 7:
                matrix[row, row] += 1
                right[row] += other[y, x] - other[q]
                if hole[q]:
                    matrix[row, inside.index(q)] -= 1
                else:
                    right[row] += photo[q]
    wanted = photo.copy()
    wanted[hole] = np.linalg.solve(matrix, right).clip(0, 1)
    np.testing.assert_allclose(poisson_paste(photo, other, hole), wanted, atol=1e-9)


def test_the_same_photo_in_other_light_restores_the_truth_up_to_the_border() -> None:
    photo = faces(1)[0].permute(1, 2, 0).double().numpy() * 0.5 + 0.3
    hole = np.zeros((32, 32), bool)
    hole[:, :20] = True
    np.testing.assert_allclose(poisson_paste(photo, photo - 0.2, hole), photo, atol=1e-9)


def test_sim_k_is_given_its_k_photos_and_pconv_none(tmp_path: Path) -> None:
    photos, masks = faces(2), corner_and_middle()
    for config in (UNetConfig("pconv", (4, 4)), UNetConfig("sim", (4, 4), 2)):
        network = build_unet(config).eval()
        path = tmp_path / f"{config.kind}.safetensors"
        checkpoint.save(path, network, {})
        built = build_method(str(path), nothing_similar)
        assert built.k == config.k
        neighbors = [nothing_similar(photos, masks, 2)] if config.k else []
        with torch.no_grad():
            wanted = network(photos, masks, *neighbors)
        torch.testing.assert_close(built.method(photos, masks), wanted)


def test_several_coarse_networks_paint_the_mean_of_their_pictures(tmp_path: Path) -> None:
    write_networks(tmp_path)
    photos, masks = faces(2), corner_and_middle()
    sources = [f"{tmp_path}/{name}.safetensors" for name in ("sim-0", "pconv")]
    built = build_method("+".join(sources), nothing_similar)
    assert built.k == 0
    with torch.no_grad():
        first, second = (load_coarse(s)(photos, masks).clamp(0, 1) for s in sources)
    torch.testing.assert_close(built.method(photos, masks), (first + second) / 2)
    checkpoint.save(Path(sources[1]), tiny_sim(), {})
    assert build_method("+".join(sources), nothing_similar).fingerprint != built.fingerprint
    Path(sources[1]).rename(tmp_path / "a+b.safetensors")  # a plus in a file's name joins nothing
    assert isinstance(load_coarse(f"{tmp_path}/a+b.safetensors"), SimUNet)
    with pytest.raises(WeightsError, match="needs no similar photos"):
        build_method(f"{sources[0]}+{tmp_path}/sim-1.safetensors", nothing_similar)
    with pytest.raises(WeightsError, match=r"^sim-99: expected a file or a shipped name"):
        build_method(f"{sources[0]}+sim-99", nothing_similar)


def test_anyones_own_function_is_found_and_known_by_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_fill.py").write_text(
        "def grey(photos, masks):\n    return photos + masks / 2\n"
    )
    monkeypatch.chdir(tmp_path)
    built = build_method("my_fill:grey", nothing_similar)
    assert built.k == 0
    assert built.method(torch.zeros(1, 3, 2, 2), torch.ones(1, 1, 2, 2)).eq(0.5).all()
    assert len(built.fingerprint) == 64


def test_anyones_own_function_may_be_given_similar_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_copy.py").write_text(
        "import torch\nweight = torch.ones(1, requires_grad=True)\n"
        "def mean(photos, masks, similar):\n"
        "    assert not (weight * photos).requires_grad\n"
        "    with torch.enable_grad():\n"
        "        (weight * photos).sum().backward()\n"
        "    return similar.mean(1)\n"
        "def count(photos, masks, similar):\n    return photos + similar.shape[1]\n"
    )
    monkeypatch.chdir(tmp_path)
    photos, masks = faces(2), corner_and_middle()
    built = build_method("my_copy:mean@3", nothing_similar)
    assert built.k == 3
    assert built.coarse == build_method("simpaint", nothing_similar).coarse
    torch.testing.assert_close(built.method(photos, masks), photos.roll(1, 0))
    assert built.fingerprint != build_method("my_copy:mean@4", nothing_similar).fingerprint
    none = build_method("my_copy:count@0", nothing_similar)
    assert none.k == 0
    assert torch.equal(none.method(photos, masks), photos)


def test_whatever_ones_own_function_fails_by_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_faults.py").write_text(
        "def boom(photos, masks):\n    raise ValueError('kaput')\n"
        "def leave(photos, masks):\n    raise SystemExit(0)\n"
        "def few(photos):\n    return photos\n"
    )
    (tmp_path / "my_exit.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    found = {"boom": "ValueError: kaput", "leave": "SystemExit: 0", "few": "TypeError: few"}
    for name, said in found.items():
        method = build_method(f"my_faults:{name}", nothing_similar).method
        with pytest.raises(InputError, match=f"^my_faults:{name}: {said}"):
            method(torch.zeros(1, 3, 2, 2), torch.ones(1, 1, 2, 2))
    with pytest.raises(InputError, match="can be imported: SystemExit: 3"):
        build_method("my_exit:f", nothing_similar)


@pytest.mark.parametrize("source", ["no_such_module:f", "json:no_such_function", "json:__name__"])
def test_what_cannot_be_imported_is_refused(source: str) -> None:
    with pytest.raises(InputError, match="expected"):
        build_method(source, nothing_similar)


def test_an_unknown_name_is_told_the_known_ones_in_one_line() -> None:
    with pytest.raises(WeightsError, match="telea, ns, biharmonic, nearest") as caught:
        build_method("sim-99", nothing_similar)
    assert "\n" not in str(caught.value)
    assert "pconv, sim-0" in str(caught.value)
    assert "dcgan" not in str(caught.value)  # which is refused
    assert "framing" not in str(caught.value)


@pytest.mark.parametrize("name", METHODS)
def test_a_number_of_photos_for_a_method_that_takes_none_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"^{name}@3: expected {name} alone"):
        build_method(f"{name}@3", nothing_similar)


def test_a_network_that_paints_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dcgan.safetensors"
    checkpoint.save(path, Generator(GeneratorConfig()), {})
    with pytest.raises(WeightsError, match="paints"):
        build_method(str(path), nothing_similar)


def test_simpaint_is_our_own_network_with_any_number_of_photos() -> None:
    def no_photos(photos: Tensor, masks: Tensor, k: int) -> Tensor:
        raise AssertionError

    name = checkpoint.OUR_OWN
    assert build_method("simpaint", no_photos)[1:] == build_method(name, no_photos)[1:]
    assert build_method("simpaint@7", no_photos)[1:] == build_method(f"{name}@7", no_photos)[1:]
    assert build_method("simpaint@7", no_photos).k == 7
