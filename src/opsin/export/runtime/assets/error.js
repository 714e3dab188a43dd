/** An error whose message says in words what is wrong and what to do. */
class OpsinError extends Error {}
