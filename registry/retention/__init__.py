"""Which tags go by age, number and use: rules of the operator, who may undo what they did."""
