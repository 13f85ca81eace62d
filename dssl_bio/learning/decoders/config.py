"""Everything `decode` can be told."""

from pydantic import Field

from dssl_bio.config import Config


class ProfileDecoderConfig(Config):
    """Sizes and training of the decoder to features.

    Attributes:
        hidden: units.
        dropout: of them.
        noise: standard deviation of what is added to every number of a code while learning; codes of new wells are
            never quite those learned from.
        steps: minibatches.
        batch_size: wells of a minibatch.
        learning_rate: highest.
        weight_decay: of AdamW.
    """

    hidden: int = Field(256, ge=8)
    dropout: float = Field(0.1, ge=0, lt=1)
    noise: float = Field(0.04, ge=0)
    steps: int = Field(600, ge=1)
    batch_size: int = Field(128, ge=4)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(3e-2, ge=0)


GUIDANCES = (1.0, 1.5, 2.0, 3.0)


class ImageDecoderConfig(Config):
    """Sizes and training of the decoder to pictures.

    Attributes:
        px: side of a picture; it shows `px * shrink` of the model's pixels.
        shrink: pixels of the model that become one, a side.
        width: channels of the network's first floor.
        steps: minibatches; 0 leaves pictures out.
        batch_size: pictures of a minibatch.
        learning_rate: highest.
        weight_decay: of AdamW.
        without: share of training pictures whose shared part is left out, which guidance needs.
        guidance: how much the shared part counts when a picture is made; 1 as it was learned. None lets the decoder
            to features choose: of GUIDANCES, the one whose pictures show best what it predicts.
        ode_steps: of the midpoint rule, each way.
    """

    px: int = Field(64, ge=16, le=96, multiple_of=8)
    shrink: int = Field(2, ge=1, le=8)
    width: int = Field(32, ge=8, multiple_of=8)
    steps: int = Field(1200, ge=0)
    batch_size: int = Field(64, ge=4)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    without: float = Field(0.1, ge=0, le=0.5)
    guidance: float | None = Field(None, ge=0, le=10)
    ode_steps: int = Field(8, ge=1, le=100)


class DecoderConfig(Config):
    """Resolved configuration of a decoder, saved with it.

    Attributes:
        seed: of everything random.
        specific: false decodes from the shared part alone, for comparison.
        exchanged: share of training wells whose specific part is that of another well of their plate (or run). A
            specific part that knows the treatment too would let decoders read the treatment there, and a well under
            another molecule would stay as it was; where it is exchanged, the treatment can be read from the shared
            part alone.
        profile: the decoder to features.
        image: the decoder to pictures.
    """

    seed: int = Field(0, ge=0)
    specific: bool = True
    exchanged: float = Field(0.25, ge=0, le=1)
    profile: ProfileDecoderConfig = ProfileDecoderConfig()
    image: ImageDecoderConfig = ImageDecoderConfig()
