# SPDX-License-Identifier: Apache-2.0

@0xd6b5c8f0a3e1942b;

interface Sink {
  put @0 (data :Data) -> stream;
  # The library's flow control for streams: the sender waits once enough is unanswered.
}
