"""The policy: who may request what, who decides, who may break the glass.

Invariant: no rule, no access; and a decision is a value that names its rule, its reasons and the policy's digest.
"""

from core.policy.decision import BreakGlassDecision, Condition, Decision, RequestDecision
from core.policy.evaluator import Policy, PolicySource
from core.policy.loader import load_policy, parse_policy
from core.policy.policy_file import PolicyFile
from core.policy.profile import Profile

__all__ = [
    "BreakGlassDecision",
    "Condition",
    "Decision",
    "Policy",
    "PolicyFile",
    "PolicySource",
    "Profile",
    "RequestDecision",
    "load_policy",
    "parse_policy",
]
