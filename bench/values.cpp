// SPDX-License-Identifier: Apache-2.0

// What writing and reading a value costs beside Boost's own binary archives, beside field copies by hand, and
// beside memcpy. Into and out of memory that is there: no port is involved, so that nothing else is measured.

#include <array>
#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <cstring>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <portolan/values.hpp>

#include "cpu.hpp"
#include "questions.hpp"

namespace bench {

namespace {

struct Record {
  std::int32_t id = 1;
  std::uint32_t flags = 2;
  std::int64_t time = 3;
  std::uint64_t size = 4;
  double weight = 5.5;
  float scale = 6.5F;
  std::int16_t row = 7;
  std::uint16_t column = 8;
  std::uint8_t level = 9;
  bool valid = true;
  std::string name = "twenty bytes of name";

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& id& flags& time& size& weight& scale& row& column& level& valid& name;
  }
};

// Room for one message, used again and again.
class MemorySink final : public portolan::Sink {
 public:
  explicit MemorySink(std::size_t bytes) : Sink(true), memory_(bytes) {
    begin_ = memory_.data();
    end_ = begin_ + bytes;
    rewind();
  }
  void rewind() { cursor_ = begin_; }
  std::byte* begin() { return begin_; }

 private:
  void grow(std::size_t) override { throw std::length_error("the message does not fit"); }
  std::uint32_t attach_port(portolan::MessagePort&, portolan::Ownership) override {
    throw std::logic_error("there are no ports here");
  }
  std::vector<std::byte> memory_;
};

class MemorySource final : public portolan::Source {
 public:
  MemorySource(const std::byte* payload, std::size_t bytes)
      : Source(payload, bytes, portolan::Format::value, true) {}

 private:
  void lend_port(std::uint32_t, portolan::MessagePort&) override {
    throw std::logic_error("there are no ports here");
  }
};

// Keeps the compiler from leaving out what is measured.
void use(const void* result) {
  asm volatile("" : : "g"(result) : "memory");
}

// What somebody would write who does without a library, with the one check that it takes.
std::size_t write_by_hand(const Record& record, std::byte* out, std::size_t room_bytes) {
  constexpr std::size_t kFlat = 44;
  if (record.name.size() > 255 || room_bytes < kFlat + 1 + record.name.size()) return 0;
  std::byte* at = out;
  const auto put = [&at](const auto& field) {
    std::memcpy(at, &field, sizeof field);
    at += sizeof field;
  };
  put(record.id), put(record.flags), put(record.time), put(record.size), put(record.weight),
      put(record.scale);
  put(record.row), put(record.column), put(record.level), put(record.valid);
  put(static_cast<std::uint8_t>(record.name.size()));
  std::memcpy(at, record.name.data(), record.name.size());
  return static_cast<std::size_t>(at - out) + record.name.size();
}

bool read_by_hand(Record& record, const std::byte* in, std::size_t bytes) {
  constexpr std::size_t kFlat = 44;
  if (bytes < kFlat + 1) return false;
  const auto get = [&in](auto& field) {
    std::memcpy(&field, in, sizeof field);
    in += sizeof field;
  };
  get(record.id), get(record.flags), get(record.time), get(record.size), get(record.weight),
      get(record.scale);
  get(record.row), get(record.column), get(record.level);
  std::uint8_t valid = 0, length = 0;
  get(valid), get(length);
  if (valid > 1 || length > bytes - kFlat - 1) return false;
  record.valid = valid == 1;
  record.name.assign(reinterpret_cast<const char*>(in), length);
  return true;
}

double nanoseconds(int count, const std::function<void()>& once) {
  const std::int64_t began = now_ns();
  for (int i = 0; i < count; ++i) once();
  return static_cast<double>(now_ns() - began) / count;
}

// How long `theirs` takes over how long `ours` takes; by turns, so that both see the same machine.
double ratio(int count, const std::function<void()>& theirs, const std::function<void()>& ours) {
  constexpr int kTurns = 20;
  double theirs_ns = 0, ours_ns = 0;
  for (int turn = 0; turn < kTurns; ++turn) {
    theirs_ns += nanoseconds(count, theirs);
    ours_ns += nanoseconds(count, ours);
  }
  return theirs_ns / ours_ns;
}

// Loops of their own, so that what is called a million times is not called through a std::function.
template <class Once>
std::function<void()> thousand_times(Once once) {
  return [once]() mutable {
    for (int i = 0; i < 1000; ++i) once();
  };
}

std::string write_with_boost(const Record& record) {
  std::stringstream stream;
  boost::archive::binary_oarchive archive(stream);
  archive << record;
  return stream.str();
}

void measure_records(Report& report) {
  constexpr int kCount = 10;  // thousands a turn
  constexpr std::size_t kRoom = 4096;
  Record record;  // not a constant, whose fields the compiler would know
  MemorySink sink(kRoom);
  const auto write = thousand_times([&] {
    use(&record);
    sink.rewind();
    portolan::encode(record, sink);
    use(sink.begin());
  });
  std::vector<std::byte> by_hand(kRoom);
  const auto write_hand = thousand_times([&] {
    use(&record);
    if (write_by_hand(record, by_hand.data(), by_hand.size()) == 0) throw std::length_error("no room");
    use(by_hand.data());
  });
  const auto write_boost = [&] {
    for (int i = 0; i < 1000; ++i) use(write_with_boost(record).data());
  };
  write();
  const std::size_t bytes = sink.written();
  const auto read = thousand_times([&, bytes] {
    MemorySource source(sink.begin(), bytes);
    const Record copy = portolan::decode<Record>(source);
    use(&copy);
  });
  write_hand();
  const auto read_hand = thousand_times([&, bytes] {
    Record copy;
    if (!read_by_hand(copy, by_hand.data(), bytes)) throw std::runtime_error("no record");
    use(&copy);
  });
  const std::string boost_bytes = write_with_boost(record);
  const auto read_boost = [&] {
    for (int i = 0; i < 1000; ++i) {
      std::stringstream stream(boost_bytes);
      boost::archive::binary_iarchive archive(stream);
      Record copy;
      archive >> copy;
      use(&copy);
    }
  };
  report.row("writing it", "ns", [&] { return nanoseconds(10 * kCount, write) / 1000; });
  report.row("reading it", "ns", [&] { return nanoseconds(10 * kCount, read) / 1000; });
  report.row("writing, as fast as Boost's binary_oarchive", "times",
             [&] { return ratio(kCount, write_boost, write); });
  report.row("reading, as fast as Boost's binary_iarchive", "times",
             [&] { return ratio(kCount, read_boost, read); });
  report.row("writing, time over that of field copies by hand", "times",
             [&] { return 1 / ratio(10 * kCount, write_hand, write); });
  report.row("reading, time over that of field copies by hand", "times",
             [&] { return 1 / ratio(10 * kCount, read_hand, read); });
}

void measure_vectors(Report& report) {
  constexpr int kCount = 50;
  constexpr std::size_t kBytes = 1 << 20;
  const std::vector<double> numbers(kBytes / sizeof(double), 1.5);
  MemorySink sink(kBytes + 64);
  const auto write = [&] {
    sink.rewind();
    portolan::encode(numbers, sink);
    use(sink.begin());
  };
  std::vector<std::byte> plain(kBytes + 64);
  const auto copy_out = [&] {
    std::memcpy(plain.data() + 8, numbers.data(), kBytes);
    use(plain.data());
  };
  write();
  const std::size_t bytes = sink.written();
  const auto read = [&, bytes] {
    MemorySource source(sink.begin(), bytes);
    const auto copy = portolan::decode<std::vector<double>>(source);
    use(copy.data());
  };
  // What reading cannot do without: memory for as many doubles, and one copy.
  const auto copy_in = [&] {
    const std::unique_ptr<double[]> copy(new double[numbers.size()]);
    std::memcpy(copy.get(), plain.data() + 8, kBytes);
    use(copy.get());
  };
  report.row("std::vector<double> of 1 MiB, writing, time over memcpy's", "times",
             [&] { return 1 / ratio(kCount, copy_out, write); });
  report.row("std::vector<double> of 1 MiB, reading, time over new and memcpy", "times",
             [&] { return 1 / ratio(kCount, copy_in, read); });
}

}  // namespace

void measure_values(Report& report) {
  report.section("A value: a struct of ten numbers and a string of 20 bytes, without a port");
  measure_records(report);
  measure_vectors(report);
}

}  // namespace bench
