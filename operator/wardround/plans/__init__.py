"""Pure decisions: observations in, actions and status out, the clock passed in."""
