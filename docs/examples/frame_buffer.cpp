// SPDX-License-Identifier: Apache-2.0

// One frame of 1 GiB goes from a renderer to a viewer in another process and back for the next picture.
// Nobody copies it, and moving it costs what moving a port costs, however large it is.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include <portolan/portolan.hpp>

struct Frame {
  std::uint32_t number = 0;
  portolan::SharedBuffer pixels;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& number& pixels;
  }
};

static constexpr std::size_t kFrameBytes = std::size_t{1} << 30, kLineBytes = std::size_t{1} << 24;

static void show() {
  portolan::MessagePort renderer = portolan::parent_port();
  while (portolan::Received received = renderer.receive()) {
    Frame frame = received->data<Frame>();
    std::uint32_t lines = 0;
    for (std::size_t line = 0; line < kFrameBytes; line += kLineBytes)
      lines += std::to_integer<std::uint32_t>(frame.pixels.bytes()[line]) == frame.number;
    std::printf("frame %u: %u of %zu lines\n", frame.number, lines, kFrameBytes / kLineBytes);
    frame.number = lines;
    renderer.post_message(std::move(frame));  // back for reuse
  }
}

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == std::string_view("--show")) return show(), 0;

  portolan::Worker viewer("/proc/self/exe", {"--show"});
  Frame frame{0, portolan::SharedBuffer(kFrameBytes, {.label = "frame"})};
  for (std::uint32_t number = 1; number <= 3; ++number) {
    const std::span<std::byte> pixels = frame.pixels.bytes();
    for (std::size_t line = 0; line < kFrameBytes; line += kLineBytes)
      std::memset(pixels.data() + line, static_cast<int>(number), 4096);
    frame.number = number;
    viewer.post_message(std::move(frame));  // frame.pixels is detached now: its memory is the viewer's
    portolan::Received received = viewer.receive();
    if (!received) return 1;
    frame = received->data<Frame>();
    if (frame.number != kFrameBytes / kLineBytes) return 1;
  }
}
