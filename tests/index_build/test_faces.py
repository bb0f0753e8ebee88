from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from simpaint.data.images import decode, square
from simpaint.errors import DependencyError, InputError
from simpaint.index_build import DescriptorConfig, faces, load_descriptor
from simpaint.index_build.faces import DlibDescriptor

PEOPLE = Path(__file__).parents[3] / "shared" / "data" / "people" / "test"


def test_without_the_extra_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(faces, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"pip install 'simpaint\[faces\]'"):
        load_descriptor(DescriptorConfig("dlib"))


def test_it_has_no_weights_option() -> None:
    with pytest.raises(InputError, match="--weights"):
        load_descriptor(DescriptorConfig("dlib", weights=Path("other.dat")))


def test_a_square_without_a_face_is_described_too() -> None:
    pytest.importorskip("dlib")
    dlib = load_descriptor(DescriptorConfig("dlib"))
    vectors = dlib(torch.rand(2, 3, dlib.input_size, dlib.input_size))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    assert dlib(torch.zeros(0, 3, dlib.input_size, dlib.input_size)).shape == (0, dlib.d)


def test_each_thread_has_its_own_networks() -> None:
    pytest.importorskip("dlib")
    descriptor = DlibDescriptor({})
    with ThreadPoolExecutor(1) as pool:
        theirs = pool.submit(lambda: descriptor._models.network).result()
    assert theirs is not descriptor._models.network


@pytest.mark.skipif(not PEOPLE.exists(), reason="needs photos of people")
def test_two_photos_of_a_person_are_nearest_to_each_other() -> None:
    pytest.importorskip("dlib")
    dlib = load_descriptor(DescriptorConfig("dlib"))
    files = [
        f for person in islice(sorted(PEOPLE.iterdir()), 8) for f in sorted(person.iterdir())[:2]
    ]
    pixels = np.stack([square(decode(file), dlib.input_size) for file in files])
    vectors = dlib(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255)
    nearest = (vectors @ vectors.T).fill_diagonal_(-1).argmax(1)
    assert (nearest == torch.arange(16) ^ 1).float().mean() >= 0.9
