"""What error texts of PEFT and of serving engines mean, and which rules find their causes."""

from __future__ import annotations
