# The patients of survival::pbc, as a table on standard output.
library(survival)
write.csv(pbc, row.names = FALSE)
