// SPDX-License-Identifier: Apache-2.0

// A program of release VERSION, 0 or 1, that writes its settings to standard output or reads somebody's from
// standard input. two_programs.py builds both releases with both compilers and has each read the others'.
#include <array>
#include <boost/serialization/version.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <portolan/values.hpp>

#include "memory_message.hpp"

namespace office {

// What differs between compilers when they spell names: a template with a default argument, a namespace that
// is not said, an enumeration, a nested class.
enum class Mood : long { calm = 5 };
template <class T, class Tag = std::less<T>>
struct Boxed {
  T content{};
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& content;
  }
};

namespace {

struct Device {
  virtual ~Device() = default;
  int id = 0;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& id;
  }
};
struct Printer : Device {
  std::string paper;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& static_cast<Device&>(*this) & paper;
  }
};

}  // namespace

struct Settings {
  std::map<std::string, Boxed<unsigned long>> sizes;
  std::array<Mood, 2> moods{};
  std::chrono::milliseconds patience{};
  std::shared_ptr<Device> printer, spare;
#if VERSION == 1
  std::wstring comment = L"none yet";
#endif

  template <class Archive>
  void serialize(Archive& archive, [[maybe_unused]] unsigned version) {
    archive& sizes& moods& patience& printer& spare;
#if VERSION == 1
    if (version >= 1) archive& comment;
#endif
  }
};

}  // namespace office

template <>
struct portolan::derived_of<office::Device> : portolan::types<office::Printer> {};
BOOST_CLASS_VERSION(office::Settings, VERSION)

namespace {

using Document = std::vector<office::Settings>;

void write() {
  office::Settings settings;
  settings.sizes["font"].content = 12;
  settings.moods[1] = office::Mood::calm;
  settings.patience = std::chrono::milliseconds(1500);
  auto printer = std::make_shared<office::Printer>();
  printer->id = 7;
  printer->paper = "A4";
  settings.printer = settings.spare = printer;
#if VERSION == 1
  settings.comment = L"from release 1";
#endif
  Document document;
  document.push_back(settings);
  const portolan::testing::Message message = portolan::testing::post(document);
  std::fwrite(message.payload.data(), 1, message.payload.size(), stdout);
}

void read() {
  const std::string payload(std::istreambuf_iterator<char>(std::cin), {});
  const auto bytes = std::as_bytes(std::span(payload));
  const portolan::testing::Message message{portolan::Format::value, {bytes.begin(), bytes.end()}, {}};
  const auto document = portolan::testing::receive<Document>(message);
  const office::Settings& settings = document.at(0);
  const auto& printer = dynamic_cast<const office::Printer&>(*settings.printer);
  std::printf("font %lu, mood %ld, patience %ld ms, printer %d with %s%s", settings.sizes.at("font").content,
              static_cast<long>(settings.moods[1]), static_cast<long>(settings.patience.count()), printer.id,
              printer.paper.c_str(), settings.printer == settings.spare ? ", no spare" : ", another spare");
#if VERSION == 1
  std::printf(", comment: %ls", settings.comment.c_str());
#endif
  std::puts("");
}

}  // namespace

int main(int argument_count, char** arguments) {
  try {
    argument_count > 1 && std::string(arguments[1]) == "write" ? write() : read();
    return 0;
  } catch (const portolan::DataCloneError& error) {
    std::puts(error.what());
    return 1;
  }
}
