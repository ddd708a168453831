"""The rules inside other people's training loops: torch and d2l."""
