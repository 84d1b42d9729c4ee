// What comes of a task whose plugin works, fails, crashes, leaves, is silent, or is cancelled.
#include "core/engine/isolated_workers.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include "core/abi/call.h"
#include "core/engine/encode_job.h"
#include "core/format/container.h"

namespace precis {
namespace {

using testing::HasSubstr;
using testing::Not;

enum class Conduct {
  copies,
  refuses,
  crashes,
  exits,
  hangs,
  polls_slowly,
  polls_for_ever,
  crashes_decoding
};
Conduct conduct = Conduct::copies;  // of the children that are started from then on

constexpr int64_t kRows = 4, kColumns = 8;
constexpr uint64_t kBytes = kRows * kColumns * sizeof(float);

precis_status plan(const precis_quantizer*, const precis_call*, precis_device, const precis_param*,
                   precis_plan*) {
  return PRECIS_OK;
}

precis_status quantize(const precis_quantizer*, const precis_call* call, const precis_param*,
                       const precis_tensor* weight, precis_tensor* const* parts, uint64_t) {
  switch (conduct) {
    case Conduct::copies:
    case Conduct::crashes_decoding:
      break;
    case Conduct::refuses:
      call->fail(call, PRECIS_DATA_LOSS, to_abi("the weight is too odd"));
      return PRECIS_DATA_LOSS;
    case Conduct::crashes:
      std::raise(SIGILL);
      break;
    case Conduct::exits:
      std::exit(0);
    case Conduct::hangs:
      while (true) ::pause();
    case Conduct::polls_slowly:
      for (int i = 0; i < 15; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        call->poll(call, 0, {});
      }
      break;
    case Conduct::polls_for_ever:
      while (call->poll(call, 0, {}) == 0) ::usleep(1000);
      return PRECIS_CANCELLED;
  }
  std::memcpy(parts[0]->view.data, weight->view.data, kBytes);
  return PRECIS_OK;
}

// Half of what was stored, so that there is an error to measure.
precis_status dequantize(const precis_quantizer*, const precis_call*, const precis_param*,
                         const precis_tensor* const* parts, uint64_t, int64_t row,
                         precis_tensor* weight) {
  if (conduct == Conduct::crashes_decoding) std::raise(SIGILL);
  const auto* stored = static_cast<const float*>(parts[0]->view.data) + row * kColumns;
  auto* out = static_cast<float*>(weight->view.data);
  for (int64_t i = 0; i < weight->view.shape[0] * kColumns; ++i) out[i] = stored[i] / 2;
  return PRECIS_OK;
}

constexpr precis_quantize_v1 kTable{plan, quantize, dequantize};
const char* const no_tables[] = {nullptr};
const precis_method method{sizeof(precis_method), 0,       "bytes", "bytes", "1.0",
                           "safetensors",         nullptr, 0,       0,       no_tables};
precis_quantizer handle{&method, nullptr, [](precis_quantizer*) {},
                        [](const precis_quantizer*, const char* id) -> const void* {
                          return std::strcmp(id, PRECIS_QUANTIZE_1) == 0 ? &kTable : nullptr;
                        }};

class IsolatedWorkersTest : public testing::Test {
 protected:
  void SetUp() override {
    file_ = std::filesystem::path(PRECIS_BINARY_DIR) /
            ("isolated_workers_test." + std::to_string(::getpid()));
    const std::string header =
        R"({"a.weight":{"dtype":"F32","shape":[4,8],"data_offsets":[0,128]}})";
    const uint64_t size = header.size();
    std::ofstream out(file_, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&size), sizeof size);
    out << header;
    for (int i = 0; i < kRows * kColumns; ++i) {
      const auto value = static_cast<float>(i);
      out.write(reinterpret_cast<const char*>(&value), sizeof value);
    }
    out.close();
    auto container = Container::open(file_);
    ASSERT_TRUE(container.ok()) << container.error().text();
    TensorPlan tensor;
    tensor.source.param.name = "a.weight";
    tensor.source.param.dtype = DType::f32;
    tensor.source.param.shape = {kRows, kColumns};
    tensor.source.parts = {{*container, (*container)->find("a.weight")}};
    tensor.action = Action::quantize;
    tensor.quantizer = *Quantizer::adopt(&handle, "tests", "1.0", "bytes", "{}");
    tensor.parts = {{"weight", DType::f32, {kRows, kColumns}, kBytes, ""}};
    plan_.components.emplace_back().tensors.push_back(std::move(tensor));
    plan_.threads = 1;
    ASSERT_TRUE(memory_.reserve(kBytes).ok());
    std::memset(memory_.bytes(kBytes).data(), 0xff, kBytes);
  }
  void TearDown() override { std::filesystem::remove(file_); }

  void start(Conduct of_children) {
    conduct = of_children;
    IsolationOptions options;
    options.patience = std::chrono::seconds(1);
    auto started = IsolatedWorkers::start(plan_, 1, options);
    conduct = Conduct::copies;
    ASSERT_TRUE(started.ok()) << started.error().text();
    workers_ = *std::move(started);
  }
  // The weight is stored with the plugin, and decoded to float32.
  void store_with_the_plugin() {
    TensorPlan& tensor = plan_.components.front().tensors.front();
    tensor.action = Action::dequantize;
    tensor.source.quantizer = std::exchange(tensor.quantizer, nullptr);
    tensor.outputs = {{{"a.weight", DType::f32, "", {kRows, kColumns}, kBytes}, 0, 0}};
  }
  Status run(const std::atomic<bool>* cancel = nullptr, int64_t row = 0, int64_t rows = kRows) {
    WorkerTask task;
    task.measure = 1;
    task.row = row;
    task.rows = rows;
    error_ = {};
    return workers_->run(task, memory_, cancel, error_);
  }

  std::filesystem::path file_;
  Plan plan_;
  Buffer memory_{Sharing::by_descriptor};
  std::unique_ptr<IsolatedWorkers> workers_;
  ErrorStats error_;
};

TEST_F(IsolatedWorkersTest, EncodesIntoTheSharedMemoryAndMeasures) {
  start(Conduct::copies);
  for (int again = 0; again < 3; ++again) {
    std::memset(memory_.bytes(kBytes).data(), 0xff, kBytes);
    const Status status = run();
    ASSERT_TRUE(status.ok()) << status.error().text();
    const auto* made = reinterpret_cast<const float*>(memory_.bytes(kBytes).data());
    for (int i = 0; i < kRows * kColumns; ++i) EXPECT_EQ(made[i], static_cast<float>(i));
    EXPECT_EQ(error_.elements, static_cast<uint64_t>(kRows * kColumns));
    EXPECT_DOUBLE_EQ(error_.relative_error(), 0.5);
  }
}

TEST_F(IsolatedWorkersTest, DecodesRowsIntoTheSharedMemory) {
  store_with_the_plugin();
  start(Conduct::copies);
  const Status status = run(nullptr, 1, 2);
  ASSERT_TRUE(status.ok()) << status.error().text();
  const auto* made = reinterpret_cast<const float*>(memory_.bytes(kBytes).data());
  for (int i = 0; i < 2 * kColumns; ++i) EXPECT_EQ(made[i], static_cast<float>(kColumns + i) / 2);
  const auto* behind = memory_.bytes(kBytes).data() + 2 * kColumns * sizeof(float);
  EXPECT_EQ(*behind, std::byte{0xff});
}

TEST_F(IsolatedWorkersTest, EndsWhileDecodingAreNamed) {
  store_with_the_plugin();
  start(Conduct::crashes_decoding);
  const Status status = run();
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message(),
              HasSubstr("plugin tests crashed (SIGILL) while decoding it"));
  EXPECT_THAT(status.error().hint(), Not(HasSubstr("--skip")));
}

TEST_F(IsolatedWorkersTest, APluginsRefusalComesThroughWithItsWords) {
  start(Conduct::refuses);
  const Status status = run();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), ErrorCode::data_loss);
  EXPECT_EQ(status.error().message(), "the weight is too odd");
}

TEST_F(IsolatedWorkersTest, EndsAreNamed) {
  const std::pair<Conduct, const char*> ends[] = {
      {Conduct::crashes, "plugin tests crashed (SIGILL) while quantizing it"},
      {Conduct::exits, "plugin tests ended its process while quantizing it"},
      {Conduct::hangs, "plugin tests has neither polled nor finished for 1 s while quantizing it"}};
  for (const auto& [end, text] : ends) {
    start(end);
    const Status status = run();
    ASSERT_FALSE(status.ok()) << text;
    EXPECT_EQ(status.error().code(), ErrorCode::plugin);
    EXPECT_THAT(status.error().message(), HasSubstr(text));
    EXPECT_THAT(status.error().hint(), HasSubstr("PRECIS_PLUGINS_DISABLE=tests"));
  }
}

// One worker works at a time here; two more stand by for those that are lost.
TEST_F(IsolatedWorkersTest, AsManyAreLostAsARunBears) {
  start(Conduct::crashes);
  for (std::size_t lost = 0; lost < IsolatedWorkers::kMostLost; ++lost)
    EXPECT_THAT(run().error().message(), HasSubstr("SIGILL"));
  EXPECT_THAT(run().error().message(), HasSubstr("have ended"));
}

TEST_F(IsolatedWorkersTest, WhoPollsIsNotSilent) {
  start(Conduct::polls_slowly);
  const Status status = run();
  EXPECT_TRUE(status.ok()) << status.error().text();
}

TEST_F(IsolatedWorkersTest, CancellingReachesThePluginAndEndsOneThatDoesNotListen) {
  const std::atomic<bool> cancel{true};
  for (const Conduct deaf : {Conduct::polls_for_ever, Conduct::hangs}) {
    start(deaf);
    const Status status = run(&cancel);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code(), ErrorCode::cancelled);
  }
}

TEST_F(IsolatedWorkersTest, NothingToQuantizeNeedsNoProcess) {
  plan_.components.front().tensors.front().action = Action::keep;
  EXPECT_EQ(IsolatedWorkers::overhead_bytes(plan_), 0u);
  start(Conduct::copies);
  std::ifstream children(fmt::format("/proc/self/task/{}/children", ::gettid()));
  std::string line;
  std::getline(children, line);
  EXPECT_EQ(line, "");
}

}  // namespace
}  // namespace precis
