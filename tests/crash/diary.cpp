// SPDX-License-Identifier: Apache-2.0

#include "crash/diary.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <sys/prctl.h>
#include <unistd.h>
#include <vector>

namespace portolan::testing {

// A sleep may end 50 us late otherwise, which is most of a short life.
Killer::Killer(std::uint64_t seed) : random_(seed) {
  constexpr unsigned long kSlackNs = 1000;
  ::prctl(PR_SET_TIMERSLACK, kSlackNs, 0, 0, 0);
}

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

namespace {

std::byte filling_of(std::uint64_t number) {
  return static_cast<std::byte>(number * 37 + 1);
}

}  // namespace

void post_large_numbered(MessagePort& port, std::uint64_t number) {
  constexpr std::size_t kLarge = 50'000;  // two do not share a block
  std::vector<std::byte> bytes(kLarge, filling_of(number));
  std::memcpy(bytes.data(), &number, sizeof number);
  port.post_message(bytes);
}

std::uint64_t number_of(const MessageEvent& message) {
  std::uint64_t number = ~std::uint64_t{0};
  if (message.bytes().size() >= sizeof number) std::memcpy(&number, message.bytes().data(), sizeof number);
  return number;
}

bool whole(const MessageEvent& message) {
  const std::uint64_t number = number_of(message);
  const std::span<const std::byte> bytes = message.bytes();
  return bytes.size() >= sizeof number &&
         std::all_of(bytes.begin() + sizeof number, bytes.end(),
                     [filling = filling_of(number)](std::byte byte) { return byte == filling; });
}

Received next_of(MessagePort& port) {
  return port.receive_for(kPatience);
}

}  // namespace portolan::testing
