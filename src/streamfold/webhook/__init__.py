"""Status webhooks: sign and retry them as a gateway does, verify them as its receiver does."""

from streamfold.webhook.send import RetryPlan, sign_mka1, sign_standard
from streamfold.webhook.verify import Webhook, verify

__all__ = ["RetryPlan", "Webhook", "sign_mka1", "sign_standard", "verify"]
