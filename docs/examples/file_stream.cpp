// SPDX-License-Identifier: Apache-2.0

// Streams a file to another process over a channel that holds 1 MiB at most: a sender that is faster than
// its reader waits for room and never loses a byte. Usage: file_stream [FILE]
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

static void count_bytes() {
  portolan::MessagePort parent = portolan::parent_port();
  portolan::Received first = parent.receive();
  if (!first) return;
  portolan::MessagePort stream = std::move(first->ports()[0]);
  std::uint64_t total_bytes = 0;
  while (portolan::Received chunk = stream.receive()) total_bytes += chunk->bytes().size();
  parent.post_message(total_bytes);  // the stream ended: its other end was closed after the last chunk
}

static std::uint64_t send_file(const std::string& path, portolan::MessagePort stream) {
  using namespace std::chrono_literals;
  std::ifstream file(path, std::ios::binary);
  std::vector<char> chunk(64 << 10);
  std::uint64_t total_bytes = 0;
  while (file.read(chunk.data(), static_cast<std::streamsize>(chunk.size())), file.gcount() > 0) {
    const auto part = std::as_bytes(std::span(chunk)).first(static_cast<std::size_t>(file.gcount()));
    if (stream.post_message_for(30s, part) != portolan::PostResult::posted) break;
    total_bytes += part.size();
  }
  return total_bytes;
}

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == std::string_view("--count")) return count_bytes(), 0;

  portolan::Worker counter("/proc/self/exe", {"--count"});
  portolan::MessageChannel channel({.limit_bytes = 1 << 20, .label = "file"});
  counter.post_message("count this", {.transfer = {channel.port2}});

  const std::uint64_t sent = send_file(argc > 1 ? argv[1] : "/proc/self/exe", std::move(channel.port1));
  portolan::Received answer = counter.receive();
  const std::uint64_t counted = answer ? answer->data<std::uint64_t>() : 0;
  std::printf("sent %llu bytes, counted %llu\n", static_cast<unsigned long long>(sent),
              static_cast<unsigned long long>(counted));
  return sent == counted && sent > 0 ? 0 : 1;
}
