"""A language model that is a list of tool calls: enough of the chat completions API for an agent to follow it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Model:
    """Answers each request with the next tool call; keeps what the tools said.

    Attributes:
        calls: (name, arguments) of the tools, in order.
        said: the tools' answers, as the agent gave them back.
    """

    def __init__(self, calls: list[tuple[str, dict[str, Any]]]) -> None:
        self.calls = calls
        self.said: list[str] = []
        self.tools: list[str] = []
        self._lock = threading.Lock()
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                for delta, reason in model.answer(body):
                    chunk = {
                        "id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m",
                        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
                    }  # fmt: skip
                    self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.write(b"data: [DONE]\n\n")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Model:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def answer(self, body: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str | None]]:
        """Yield the parts of an answer, each with the reason for the end or None."""
        if not body.get("tools"):
            yield {"role": "assistant", "content": "A title"}, None
            yield {}, "stop"
            return
        with self._lock:
            self.tools = [tool["function"]["name"] for tool in body["tools"]]
            last = body["messages"][-1]
            if last["role"] == "tool":
                self.said.append(last["content"] if isinstance(last["content"], str) else json.dumps(last["content"]))
            number = len(self.said)
        if number == len(self.calls):
            yield {"role": "assistant", "content": "Done."}, None
            yield {}, "stop"
            return
        name, arguments = self.calls[number]
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"index": 0, "id": f"call_{number}", "type": "function", "function": function}
        yield {"role": "assistant", "tool_calls": [call]}, None
        yield {}, "tool_calls"
