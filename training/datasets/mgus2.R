# The patients of survival::mgus2, as a table on standard output.
library(survival)
write.csv(mgus2, row.names = FALSE)
