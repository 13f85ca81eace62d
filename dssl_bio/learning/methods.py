"""Every method on two views by its name, for commands and studies."""

from dssl_bio.learning.baselines.contrastive import CLIP, CLOOB, SigLIP
from dssl_bio.learning.baselines.dcca import DCCA
from dssl_bio.learning.baselines.dmvae import DMVAE
from dssl_bio.learning.baselines.factorcl import FactorCL, SupervisedFactorCL
from dssl_bio.learning.baselines.focal import FOCAL
from dssl_bio.learning.baselines.joint_opt import JointOpt
from dssl_bio.learning.baselines.random_projection import RandomProjection
from dssl_bio.learning.two_view_method import TwoViewMethod
from dssl_bio.learning.two_views import DisentangledSSL

_ALL: tuple[type[TwoViewMethod], ...] = (
    DisentangledSSL, JointOpt, FOCAL, DMVAE, FactorCL, SupervisedFactorCL, CLIP, DCCA, CLOOB, SigLIP, RandomProjection)
METHODS = {method.name: method for method in _ALL}
