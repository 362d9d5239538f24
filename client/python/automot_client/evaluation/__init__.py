"""Scores of a served model: closed loop, open loop, scene questions, and studies made of them."""
