"""Answers questions about a store until standard input ends; a store's own operations follow.

A question is a line of JSON, `{"bucket": NAME, "words": [OPERATION, ...], "body_bytes": N}`, and N
bytes; N may be null. The answer is a line, `{"lines": [...]}` or `{"error": TRACEBACK}`.
"""
import json
import sys
import traceback


def answer_questions(operations):
    """Calls an operation with the bucket, its words and the body, if any, for its lines."""
    questions, answers = sys.stdin.buffer, sys.stdout
    # What a library prints must not be taken for an answer.
    sys.stdout = sys.stderr
    while line := questions.readline():
        question = json.loads(line)
        operation, *words = question["words"]
        if question["body_bytes"] is not None:
            words.append(questions.read(question["body_bytes"]))
        try:
            lines = operations[operation](question["bucket"], *words)
            said = {"lines": [str(line) for line in lines or []]}
        except Exception:
            said = {"error": traceback.format_exc()}
        print(json.dumps(said), file=answers, flush=True)
