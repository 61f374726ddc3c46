// SPDX-License-Identifier: Apache-2.0

#include "crash/diary.hpp"

#include <cstdio>
#include <cstring>
#include <unistd.h>
#include <vector>

namespace portolan::testing {

void Killer::kill(Ward& ward, const Diary& diary, unsigned most_microseconds) {
  while (diary.phase.load() == Phase::not_begun) ::usleep(20);
  ::usleep(static_cast<useconds_t>(random_() % most_microseconds));
  ward.process().kill_and_reap();
  ++kills_[static_cast<std::size_t>(diary.phase.load())];
}

void Killer::report() const {
  constexpr std::array<const char*, kPhases> kNames{"adopt", "post", "grow", "transfer", "receive"};
  std::printf("killed in");
  for (std::size_t phase = 0; phase < kPhases; ++phase)
    std::printf(" %s: %llu", kNames[phase], static_cast<unsigned long long>(kills_[phase]));
  std::printf("\n");
  std::fflush(stdout);
}

void post_numbered(MessagePort& port, std::uint64_t number) {
  port.post_message(std::as_bytes(std::span(&number, 1)));
}

void post_large_numbered(MessagePort& port, std::uint64_t number) {
  constexpr std::size_t kLarge = 50'000;  // two do not share a block
  std::vector<std::byte> bytes(kLarge, std::byte{1});
  std::memcpy(bytes.data(), &number, sizeof number);
  port.post_message(bytes);
}

std::uint64_t number_of(const MessageEvent& message) {
  std::uint64_t number = ~std::uint64_t{0};
  if (message.bytes().size() >= sizeof number) std::memcpy(&number, message.bytes().data(), sizeof number);
  return number;
}

Received next_of(MessagePort& port) {
  return port.receive_for(kPatience);
}

}  // namespace portolan::testing
