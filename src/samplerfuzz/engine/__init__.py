"""The campaign: phases, budget, confirmation, shrinking. It knows protocols and events, no concrete target or reporter."""
