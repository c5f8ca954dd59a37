"""Values and failures as data: what is written to a store, and how it comes back by the declared types."""

from ._arguments import Signature, UntypedSignature, positional_signature, signature_of, untyped_signature
from ._failure import Failure, exception_of, failure_of
from ._hints import FunctionHints, hints_of, local_names
from ._json import JsonCodec, default_codec
from ._pickle import PickleCodec
from ._protocol import Codec, Payload

__all__ = [
    "Codec", "Failure", "FunctionHints", "JsonCodec", "Payload", "PickleCodec", "Signature", "UntypedSignature", "default_codec",
    "exception_of", "failure_of", "hints_of", "local_names", "positional_signature", "signature_of", "untyped_signature",
]  # fmt: skip
