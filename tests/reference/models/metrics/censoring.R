# The Kaplan-Meier curve of censoring just before each day by prodlim. Run in this folder.
suppressMessages(library(prodlim))
tied <- read.csv("data/tied.csv")
fit <- prodlim(Hist(time, event != 0) ~ 1, data = tied, reverse = TRUE)
day <- 1:40
target <- commandArgs(trailingOnly = TRUE)
before <- predict(fit, times = day - 0.5, type = "surv")
write.csv(data.frame(day, survival_before = format(before, digits = 15)),
          file.path(if (length(target)) target[1] else ".", "censoring.csv"),
          row.names = FALSE, quote = FALSE)
