// SPDX-License-Identifier: Apache-2.0

// Three things that programs do with values, written before the archives were: a job with a port for its
// answer, a settings document of standard types that has changed over time, and a scene whose parts refer to
// each other.
#include <boost/serialization/nvp.hpp>
#include <boost/serialization/split_member.hpp>
#include <boost/serialization/version.hpp>
#include <doctest/doctest.h>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <portolan/values.hpp>

#include "memory_message.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

struct Job {
  std::string scene;
  std::uint32_t first_line = 0;
  std::uint32_t last_line = 0;
  MessagePort reply;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& scene& first_line& last_line& reply;
  }
};

}  // namespace

TEST_CASE("a job posted as an rvalue takes its port along") {
  Job job{"the harbour", 10, 20, MessagePort(7)};
  const Message message = post(std::move(job));
  CHECK(message.ports == std::vector{7});
  CHECK(job.reply.number() == 0);

  const Job received = receive<Job>(message);
  CHECK(received.scene == "the harbour");
  CHECK(received.first_line == 10);
  CHECK(received.last_line == 20);
  CHECK(received.reply.number() == 7);
}

TEST_CASE("a job posted as an lvalue must list its port, and then it is one port") {
  Job job{"the harbour", 10, 20, MessagePort(7)};
  CHECK_THROWS_AS(post(job), DataCloneError);
  CHECK(job.reply.number() == 7);

  MessagePort other(8);
  const Message message = post(job, {&other, &job.reply});
  CHECK(message.ports == std::vector{8, 7});
  CHECK(job.reply.number() == 0);
  CHECK(receive<Job>(message).reply.number() == 7);
}

TEST_CASE("a failed read takes no port and can be repeated as another type") {
  const Message message = post(Job{"x", 1, 2, MessagePort(7)});
  CHECK_THROWS_AS(receive<std::vector<std::string>>(message), DataCloneError);
  CHECK_THROWS_AS(receive<std::string>(message), DataCloneError);
  CHECK(receive<Job>(message).reply.number() == 7);
}

namespace {

using Setting = std::variant<bool, std::int64_t, double, std::string>;

// The document as it was written a release ago, and as it is now.
struct SettingsV0 {
  std::map<std::string, Setting> settings;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& BOOST_SERIALIZATION_NVP(settings);
  }
};

class Settings {
 public:
  std::map<std::string, Setting> settings;
  std::optional<std::string> comment;

 private:
  friend class boost::serialization::access;
  template <class Archive>
  void save(Archive& archive, unsigned) const {
    archive << BOOST_SERIALIZATION_NVP(settings) << BOOST_SERIALIZATION_NVP(comment);
  }
  template <class Archive>
  void load(Archive& archive, unsigned version) {
    archive >> BOOST_SERIALIZATION_NVP(settings);
    if (version >= 1) {
      archive >> BOOST_SERIALIZATION_NVP(comment);
    }
  }
  BOOST_SERIALIZATION_SPLIT_MEMBER()
};

}  // namespace

BOOST_CLASS_VERSION(Settings, 1)
template <>
inline constexpr std::string_view portolan::type_name<SettingsV0> = "org.example.Settings";
template <>
inline constexpr std::string_view portolan::type_name<Settings> = "org.example.Settings";

TEST_CASE("a newer program reads an older one's settings, and the older refuses the newer's") {
  SettingsV0 old;
  old.settings = {{"dark", true}, {"size", std::int64_t{12}}, {"zoom", 1.5}, {"font", std::string("Serif")}};
  const Settings read = receive<Settings>(post(old));
  CHECK(read.settings == old.settings);
  CHECK_FALSE(read.comment.has_value());

  Settings now;
  now.settings = old.settings;
  now.comment = "from today";
  const Settings again = round_trip(now);
  CHECK(again.settings == now.settings);
  CHECK(again.comment == now.comment);
  CHECK_THROWS_WITH_AS(
      receive<SettingsV0>(post(now)),
      "value: sent: org.example.Settings v1, read as: org.example.Settings v0, the last one here",
      DataCloneError);
}

namespace {

struct SceneNode {
  std::string name;
  std::vector<std::shared_ptr<SceneNode>> children;
  std::weak_ptr<SceneNode> parent;
  std::shared_ptr<std::vector<double>> mesh;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& name& children& parent& mesh;
  }
};

std::shared_ptr<SceneNode> make_scene() {
  const auto mesh = std::make_shared<std::vector<double>>(std::vector{1.0, 2.0, 3.0});
  auto root = std::make_shared<SceneNode>();
  root->name = "root";
  for (const char* name : {"left", "right"}) {
    root->children.push_back(std::make_shared<SceneNode>(SceneNode{name, {}, root, mesh}));
  }
  return root;
}

}  // namespace

TEST_CASE("a scene keeps its shared parts and its references back") {
  const auto scene = round_trip(make_scene());
  REQUIRE(scene->children.size() == 2);
  const SceneNode& left = *scene->children[0];
  const SceneNode& right = *scene->children[1];
  CHECK(left.name == "left");
  CHECK(right.name == "right");
  CHECK(left.parent.lock() == scene);
  CHECK(right.parent.lock() == scene);
  CHECK(left.mesh == right.mesh);
  CHECK(*left.mesh == std::vector{1.0, 2.0, 3.0});
}

TEST_CASE("no pointer goes to a foreign peer, nor comes from one") {
  CHECK_THROWS_AS(post(make_scene(), {}, false), DataCloneError);
  const Message message = post(make_scene());
  CHECK_THROWS_AS(receive<std::shared_ptr<SceneNode>>(message, false), DataCloneError);
  CHECK_THROWS_AS(receive<std::unique_ptr<int>>(post(std::make_unique<int>(5)), false), DataCloneError);
  CHECK(receive<Job>(post(Job{"x", 1, 2, MessagePort(7)}, {}, false), false).scene == "x");
}
