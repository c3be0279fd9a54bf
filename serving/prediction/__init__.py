"""From a request to an explained prediction, whichever interface it came through."""
