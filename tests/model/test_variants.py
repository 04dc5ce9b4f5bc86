"""Stems for small tiles, GeM pooling and the small networks: right counts, right maps, clear refusals, ONNX."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from trained import network, pixels, spec

from landuse.core.errors import UserError
from landuse.export import onnx_file
from landuse.model import backbones, saved
from landuse.model.small_cnns import Quarters
from landuse.model.variants import GeM
from landuse.prediction.predictor import Predictor
from landuse.spec.scaling import Scaling
from landuse.training.weights import loader


def last_map(name: str, stem: str, size: int = 64) -> int:
    """Side of the maps that reach the global pooling."""
    built = backbones.build(name, 3, stem).module.eval()
    pooling = [m for m in built.modules() if isinstance(m, nn.AdaptiveAvgPool2d)][-1]  # others squeeze and excite
    seen: list[int] = []
    pooling.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].shape[-1]))
    with torch.inference_mode():
        built(torch.zeros(1, 3, size, size))
    return seen[0]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("name", "standard", "small"),
    [
        ("resnet18", 2, 8),
        ("test_resnet", 2, 8),  # timm's
        ("resnet26d.bt_in1k", 2, 8),  # a deep stem
        ("efficientnet_lite0", 2, 4),
        ("efficientnet_b0", 2, 4),
        ("mobilenet_v3_small", 2, 4),
    ],
)
def test_the_small_stem_keeps_the_resolution(name: str, standard: int, small: int) -> None:
    assert (last_map(name, "standard"), last_map(name, "small")) == (standard, small)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "convnext_atto", "vgg11_bn", "cnn_54k", "cnn_95k"])
def test_a_small_stem_where_there_is_none_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=rf"model\.stem is 'small', but .*{name}.*choose model\.stem=standard"):
        backbones.build(name, 3, stem="small")


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v3_small", "efficientnet_lite0", "convnext_atto", "densenet121"]
)
def test_gem_with_an_exponent_of_one_is_the_mean(name: str) -> None:
    torch.manual_seed(0)
    mean = backbones.build(name, 3).module.eval()
    gem = backbones.build(name, 3, pooling="gem")
    gem.module.load_state_dict(mean.state_dict(), strict=False)
    pool = next(m for m in gem.module.modules() if isinstance(m, GeM))
    assert [n for n, stage in gem.stages.items() if stage == "head"] == [
        n for n, p in gem.module.named_parameters() if p is pool.p
    ]
    seen: list[torch.Tensor] = []
    pool.register_forward_hook(lambda _module, inputs, output: seen.extend((inputs[0], output)))
    tiles = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        assert gem.module.eval()(tiles).shape == mean(tiles).shape == (2, gem.features)
        entering, leaving = seen
        pool.p.fill_(1.0)
        assert torch.allclose(pool(entering), entering.clamp(min=1e-6).mean((2, 3), keepdim=True))
        pool.p.fill_(3.0)
        by_definition = entering.double().clamp(min=1e-6).pow(3).mean((2, 3), keepdim=True).pow(1 / 3)
    assert torch.allclose(leaving.double(), by_definition, rtol=1e-5)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "cnn_54k", "cnn_95k"])
def test_gem_where_it_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=rf"model\.pooling is 'gem', but {name}.*choose model\.pooling=avg"):
        backbones.build(name, 3, pooling="gem")


def test_gem_of_half_precision_neither_overflows_nor_loses_gradient() -> None:
    maps = torch.full((1, 2, 4, 4), 100.0, dtype=torch.float16)  # 100 cubed is beyond float16
    pool = GeM()
    pooled = pool(maps)
    pooled.sum().backward()
    assert torch.allclose(pooled.flatten(), torch.full((2,), 100.0), rtol=1e-4)
    dark = GeM()
    dark(torch.zeros(1, 2, 4, 4)).sum().backward()
    assert torch.isfinite(dark.p.grad).all()


@pytest.mark.parametrize(
    ("name", "classes", "bands", "size", "count"),
    [
        ("cnn_54k", 5, 6, 8, 53_797),
        ("cnn_54k", 5, 6, 64, 53_797),
        ("cnn_54k", 5, 8, 8, 54_373),
        ("cnn_95k", 10, 3, 64, 94_986),
        ("cnn_95k", 2, 3, 64, 93_954),
        ("cnn_95k", 5, 6, 8, 95_205),
    ],
)
def test_small_networks_have_the_sizes_of_their_documents(
    name: str, classes: int, bands: int, size: int, count: int
) -> None:
    plain = {"hidden": None, "dropout": 0.0}
    labels = [str(i) for i in range(classes)]
    described = spec(name, bands, size, size, head=plain, classes=labels, mean=[0.0] * bands, std=[1.0] * bands)
    model = saved.build(described)
    assert sum(p.numel() for p in model.parameters()) == count
    assert model(torch.rand(2, bands, size, size)).shape == (2, classes)


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (16, 16), (17, 24)])
def test_quarters_are_adaptive_average_pooling(shape: tuple[int, int]) -> None:
    maps = torch.rand(2, 3, *shape)
    assert torch.allclose(Quarters()(maps), nn.functional.adaptive_avg_pool2d(maps, 2))


@pytest.mark.parametrize("name", ["cnn_54k", "cnn_95k"])
def test_small_networks_have_no_imagenet_weights(name: str) -> None:
    with pytest.raises(UserError, match=r"-S model\.weights=none or -S train\.recipe=scratch"):
        backbones.build(name, 3, load=loader("imagenet", name))


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("test_resnet", {"stem": "small", "pooling": "gem"}),
        ("cnn_54k", {}),
        ("cnn_54k", {"size": 34, "input_size": 34}),  # odd maps before the quarters
        ("cnn_95k", {}),
    ],
)
def test_variants_survive_the_disk_and_onnx(name: str, variant: dict[str, object], tmp_path) -> None:
    described = spec(name, **variant)  # type: ignore[arg-type]
    saved.save(network(described), described, tmp_path / "model")
    model, read = saved.load(tmp_path / "model")
    assert read == described
    images = pixels(described, 5)
    content = onnx_file.export(Predictor([model], 1, torch.device("cpu")), described, Scaling(), opset=20)
    session = onnxruntime.InferenceSession(content)
    (answers,) = session.run(["probabilities"], {"pixels": images})
    with torch.inference_mode():
        logits = model(torch.from_numpy(images).permute(0, 3, 1, 2).float())
    expected = torch.softmax(logits, dim=1).numpy()
    assert np.abs(answers - expected).max() < 1e-5
