"""What a model's tokens cost, so that what a hit saved can be told in money.

The law: a price is stated by the user or by LiteLLM's list, under exactly the model's name; what is not known is not
counted, never guessed.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import TypeAlias, TypeGuard

from semcache_integrations.core.errors import ConfigurationError

Price: TypeAlias = tuple[float, float]
"""US dollars per million tokens: of the prompt, of the answer."""

_MILLION = 1_000_000


class Prices:
    """Prices by model.

    ```python
    from semcache_integrations.observability import Prices

    prices = Prices({"gpt-4o-mini": (0.15, 0.60)})
    assert prices.usd("gpt-4o-mini", 1_000_000, 500_000) == 0.45
    assert prices.usd("gpt-4o", 1_000_000, 500_000) is None
    ```

    Args:
        listed: US dollars per million tokens by model: (of the prompt, of the answer).

    Raises:
        ConfigurationError: one of them is no pair of amounts.
    """

    def __init__(self, listed: Mapping[str, Price]) -> None:
        for model, price in listed.items():
            if not (isinstance(price, tuple | list) and len(price) == len(("prompt", "answer"))):
                raise ConfigurationError(f"the price of {model} is a pair (prompt, answer), not {price!r}")
            if not all(map(_is_amount, price)):
                raise ConfigurationError(
                    f"the price of {model} is in US dollars per million tokens, not {price!r}"
                )
        self._listed = dict(listed)

    @staticmethod
    def of_litellm() -> Prices:
        """Return LiteLLM's list, as it is at each look.

        Raises:
            ImportError: LiteLLM is not installed.
        """
        try:
            import litellm as _litellm
        except ImportError as error:
            raise ImportError(
                f"LiteLLM's prices need {error.name}: pip install 'semcache-integrations[litellm]'"
            ) from error
        del _litellm
        return Prices.at_hand()

    @staticmethod
    def at_hand() -> Prices:
        """Return LiteLLM's list from the moment on when the program has imported LiteLLM; nothing is known before."""
        return _OfLiteLLM({})

    def of(self, model: str) -> Price | None:
        """Return the price of a model, None where nobody knows it."""
        return self._listed.get(model)

    def usd(self, model: str, prompt_tokens: int, answer_tokens: int) -> float | None:
        """Return what so many tokens cost in US dollars, None where nobody knows."""
        price = self.of(model)
        if price is None:
            return None
        return (prompt_tokens * price[0] + answer_tokens * price[1]) / _MILLION


class _OfLiteLLM(Prices):
    """The list of the LiteLLM that is imported, which programs extend by `litellm.register_model`."""

    def of(self, model: str) -> Price | None:
        """See `Prices.of`."""
        listed = getattr(sys.modules.get("litellm"), "model_cost", {}).get(model)
        if not isinstance(listed, dict):
            return None
        prompt, answer = listed.get("input_cost_per_token"), listed.get("output_cost_per_token")
        return (prompt * _MILLION, answer * _MILLION) if _is_amount(prompt) and _is_amount(answer) else None


def _is_amount(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value) and value >= 0
