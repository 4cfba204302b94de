"""Looks at a network without weights or images: what its layers give, cost and see."""
