"""Backbones by name, their weights and their stages."""

from itertools import pairwise

import pytest
import timm
import torch

from landuse.core.errors import UserError
from landuse.model import backbones
from landuse.model.backbones import STAGES
from landuse.training import weights
from landuse.training.weights import loader


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnet50",
        "efficientnet_b0",
        "mobilenet_v3_small",
        "efficientnet_lite0",
        "convnext_atto",
        "vit_tiny_patch16_224",
        "vgg11_bn",
        "densenet121",
        "test_resnet",
    ],
)
def test_every_parameter_stands_in_one_of_five_stages_in_order(name: str) -> None:
    backbone = backbones.build(name, 3)
    parameters = [n for n, _ in backbone.module.named_parameters()]
    assert set(backbone.stages) == set(parameters)
    assert set(backbone.stages.values()) == set(STAGES)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("name", "parameter", "stage"),
    [
        ("resnet50", "bn1.weight", "stem"),
        ("resnet50", "layer3.5.conv3.weight", "layer3"),
        ("efficientnet_b0", "features.0.0.weight", "stem"),
        ("efficientnet_b0", "features.2.0.block.0.0.weight", "layer1"),
        ("efficientnet_b0", "features.8.0.weight", "layer4"),
        ("mobilenet_v3_small", "features.8.block.0.0.weight", "layer3"),
        ("efficientnet_lite0", "blocks.4.2.conv_pw.weight", "layer3"),
        ("efficientnet_lite0", "conv_head.weight", "layer4"),
        ("vit_tiny_patch16_224", "blocks.2.norm1.weight", "layer1"),
        ("vit_tiny_patch16_224", "blocks.3.norm1.weight", "layer2"),
    ],
)
def test_the_documented_mapping_of_stages(name: str, parameter: str, stage: str) -> None:
    assert backbones.build(name, 3).stages[parameter] == stage


@pytest.mark.usefixtures("undrawn")
def test_strides_of_the_torchvision_stages() -> None:
    """layer1 ends at 1/4 of the resolution, layer2 at 1/8, layer3 at 1/16, layer4 at 1/32."""
    for name, starts in backbones._FEATURE_STAGES.items():
        features = backbones.build(name, 3).module.features
        maps, sizes = torch.zeros(1, 3, 64, 64), []
        for start, end in pairwise((0, *starts[2:], len(features))):
            maps = features[start:end](maps)
            sizes.append(maps.shape[-1])
        assert sizes == [16, 8, 4, 2], name


@pytest.mark.parametrize("size", [64, 65, 70])
def test_lite0_equals_the_original_on_the_turned_picture(size: int) -> None:
    ours = backbones.build("efficientnet_lite0", 3, load=loader("imagenet", "efficientnet_lite0")).module.eval()
    original = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    turned_twice = {k: v.flip(-1, -2) if v.ndim == 4 else v for k, v in weights._lite0(original).items()}
    original.load_state_dict(turned_twice, strict=False)
    pictures = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        difference = ours(pictures.flip(-1, -2)) - original(pictures)
    assert difference.abs().max() < 1e-4


def test_thirteen_bands_keep_what_the_first_filters_learnt() -> None:
    rgb = backbones.build("efficientnet_lite0", 3, load=loader("imagenet", "efficientnet_lite0")).module
    many = backbones.build("efficientnet_lite0", 13, load=loader("imagenet", "efficientnet_lite0")).module.eval()
    assert many(torch.zeros(1, 13, 32, 32)).shape == (1, 1280)
    kept = many.conv_stem.weight[:, 3:6] * 13 / 3
    assert torch.allclose(kept, rgb.conv_stem.weight, atol=1e-6)


def test_an_unknown_backbone_is_refused_with_near_names() -> None:
    with pytest.raises(UserError, match=r"'resnet5O'.*did you mean 'resnet50'"):
        backbones.build("resnet5O", 3)
    with pytest.raises(UserError, match=r"'resnet26d.a1_in1k'.*'resnet26d.bt_in1k'"):
        backbones.build("resnet26d.a1_in1k", 3)


@pytest.mark.parametrize(
    ("name", "channels", "size"),
    [
        ("vit_tiny_patch16_224", 13, 64),  # one size, which it is built for
        ("levit_128s", 3, 64),
        ("test_vit", 3, 96),
        ("mobilenetv4_conv_small", 3, 32),  # its num_features are not those that come out
        ("xcit_nano_12_p16_224", 3, 64),
    ],
)
def test_timm_networks_work_at_the_size_of_the_tiles(name: str, channels: int, size: int) -> None:
    backbone = backbones.build(name, channels, input_size=size)
    found = backbone.module.train()(torch.randn(2, channels, size, size))
    assert found.shape == (2, backbone.features)
    found.square().sum().backward()


@pytest.mark.parametrize(
    ("name", "channels", "size", "told"),
    [
        ("efficientformer_l1", 3, 64, r"efficientformer_l1 does not work at 64 px \(.*\): try -S model.input_size=224"),
        ("crossvit_tiny_240", 3, 64, r"does not work at 64 px .* try -S model.input_size=240, which it was made for"),
        ("crossvit_tiny_240", 13, 240, r"does not work at 240 px .*: try another model.input_size"),
        ("vit_tiny_patch16_224", 3, 8, r"does not work at 8 px \(.*\): try -S model.input_size=224"),
        ("convnext_atto", 3, 8, r"does not work at 8 px \(.*\): try -S model.input_size=224"),
        ("pit_ti_224", 3, 64, r"pit_ti_224 does not say in which order its layers come"),
    ],
)
def test_a_network_that_does_not_work_at_this_size_is_refused_in_one_line(
    name: str, channels: int, size: int, told: str
) -> None:
    with pytest.raises(UserError, match=told) as caught:
        backbones.build(name, channels, input_size=size)
    assert "\n" not in str(caught.value)


def test_looking_at_the_features_leaves_no_trace() -> None:
    network = backbones.build("test_resnet", 3).module.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    backbones.features_at(network, "test_resnet", 3, 32)
    assert network.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_positions_that_imagenet_weights_know_are_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timm does it when it is told the size; there is no network in the tests."""
    original, asked = timm.create_model, {}

    def create_model(model_name: str, pretrained: bool = False, **settings: object) -> object:
        asked[pretrained] = settings
        return original(model_name, pretrained=False, **settings)

    monkeypatch.setattr(timm, "create_model", create_model)
    found = backbones.build(
        "vit_tiny_patch16_224", 3, input_size=64, load=loader("imagenet", "vit_tiny_patch16_224", 64)
    )
    assert asked[True]["img_size"] == 64
    assert found.module.pos_embed.shape[1] == 1 + (64 // 16) ** 2
