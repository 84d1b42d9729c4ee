#include "core/checkpoint/checkpoint.h"

#include <gmock/gmock.h>

#include "core/format/layout.h"
#include "core/format/test_files.h"

namespace precis {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string weights(const std::vector<std::string>& names) {
  std::vector<PlannedTensor> tensors;
  for (const std::string& name : names) tensors.push_back({name, DType::f32, "", {1, 2}, 8});
  const auto layout = plan_safetensors(tensors, {{"format", "pt"}});
  return layout->header + std::string(8 * names.size(), '\0');
}

std::string index_of(const json& weight_map) {
  return json{{"metadata", {{"total_size", 0}}}, {"weight_map", weight_map}}.dump();
}

std::vector<std::string> component_names(const Checkpoint& checkpoint) {
  std::vector<std::string> names;
  for (const Component& component : checkpoint.components) names.push_back(component.name);
  return names;
}

std::vector<std::string> tensor_names(const Component& component) {
  std::vector<std::string> names;
  for (const TensorRef& ref : component.tensors) names.push_back(ref.entry->name);
  return names;
}

void expect_error(const fs::path& path, ErrorCode code, const std::string& text,
                  const std::string& variant = "") {
  const auto result = open_checkpoint(path, {variant});
  ASSERT_FALSE(result.ok()) << text;
  EXPECT_EQ(result.error().code(), code) << result.error().text();
  EXPECT_THAT(result.error().text(), HasSubstr(text));
  EXPECT_FALSE(result.error().hint().empty()) << result.error().text();
}

// A pipeline with two components of weights, a scheduler and a tokenizer.
void write_pipeline(const test::ScratchDirectory& directory) {
  directory.write("model_index.json", R"({
    "_class_name": "FluxPipeline", "_diffusers_version": "0.33.0",
    "transformer": ["diffusers", "FluxTransformer2DModel"],
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "image_encoder": [null, null],
    "requires_safety_checker": true,
    "text_encoder": ["transformers", "T5EncoderModel"],
    "tokenizer": ["transformers", "T5Tokenizer"]})");
  directory.write("transformer/config.json", R"({"_class_name": "FluxTransformer2DModel"})");
  directory.write("transformer/diffusion_pytorch_model.safetensors",
                  weights({"x_embedder.weight"}));
  directory.write("scheduler/scheduler_config.json", "{}");
  directory.write("text_encoder/config.json", R"({"architectures": ["T5EncoderModel"]})");
  directory.write("text_encoder/model-00001-of-00002.safetensors", weights({"shared.weight"}));
  directory.write("text_encoder/model-00002-of-00002.safetensors",
                  weights({"b.weight", "a.weight"}));
  directory.write("text_encoder/model.safetensors.index.json",
                  index_of({{"shared.weight", "model-00001-of-00002.safetensors"},
                            {"a.weight", "model-00002-of-00002.safetensors"},
                            {"b.weight", "model-00002-of-00002.safetensors"}}));
  directory.write("tokenizer/spiece.model", "x");
}

TEST(OpenCheckpoint, ReadsAPipelineInTheOrderOfItsIndex) {
  const test::ScratchDirectory directory;
  write_pipeline(directory);
  directory.write("README.md", "x");
  directory.write(".git/config", "x");
  directory.write("flux1-dev.safetensors", weights({"the same weights again"}));
  directory.write("transformer/diffusion_pytorch_model.fp16.safetensors",
                  weights({"x_embedder.weight"}));
  directory.write("text_encoder/pytorch_model.bin", "x");
  const auto checkpoint = open_checkpoint(directory.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().text();
  EXPECT_EQ(checkpoint->kind, CheckpointKind::pipeline);
  EXPECT_THAT(component_names(*checkpoint), ElementsAre("transformer", "text_encoder"));
  const Component& transformer = checkpoint->components[0];
  EXPECT_EQ(transformer.family, "flux");
  EXPECT_EQ(transformer.weights_name, "diffusion_pytorch_model");
  EXPECT_EQ(transformer.variant, "");
  const Component& text_encoder = checkpoint->components[1];
  EXPECT_EQ(text_encoder.library, "transformers");
  EXPECT_EQ(text_encoder.family, "t5");
  EXPECT_EQ(text_encoder.weights_name, "model");
  EXPECT_EQ(text_encoder.files.size(), 2u);
  EXPECT_THAT(tensor_names(text_encoder), ElementsAre("shared.weight", "a.weight", "b.weight"));
  EXPECT_THAT(checkpoint->other_files,
              ElementsAre("README.md", "model_index.json", "scheduler/scheduler_config.json",
                          "tokenizer/spiece.model"));
}

TEST(OpenCheckpoint, ReadsOneModelAndItsQuantizationConfig) {
  const test::ScratchDirectory directory;
  directory.write(
      "config.json",
      R"({"architectures": ["BertModel"], "quantization_config": {"quant_method": "gptq"}})");
  directory.write("model.safetensors", weights({"a.weight"}));
  directory.write("vocab.txt", "x");
  directory.write("2_Dense/model.safetensors", weights({"linear.weight"}));
  directory.write("onnx/model.onnx", "x");
  const auto checkpoint = open_checkpoint(directory.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().text();
  EXPECT_EQ(checkpoint->kind, CheckpointKind::model_directory);
  const Component& component = checkpoint->components.front();
  EXPECT_EQ(component.name, "");
  EXPECT_EQ(component.class_name, "BertModel");
  EXPECT_EQ(component.family, "bert");
  ASSERT_NE(component.quantization_config(), nullptr);
  EXPECT_EQ((*component.quantization_config())["quant_method"], "gptq");
  // sentence-transformers keeps further modules in directories of their own.
  EXPECT_THAT(checkpoint->other_files,
              ElementsAre("2_Dense/model.safetensors", "onnx/model.onnx", "vocab.txt"));
}

TEST(OpenCheckpoint, ReadsASingleFile) {
  const test::ScratchDirectory directory;
  const std::string header =
      R"({"__metadata__":{"quantization_config":"{\"quant_method\":\"quanto\"}"},"double_blocks.0.img_attn.qkv.weight":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  const auto checkpoint = open_checkpoint(
      directory.write("flux1.dev.safetensors", test::safetensors_file(header, "x")));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().text();
  EXPECT_EQ(checkpoint->kind, CheckpointKind::single_file);
  EXPECT_EQ(checkpoint->components[0].weights_name, "flux1.dev");
  EXPECT_EQ(checkpoint->components[0].family, "flux");
  EXPECT_EQ((*checkpoint->components[0].quantization_config())["quant_method"], "quanto");
  EXPECT_THAT(checkpoint->other_files, IsEmpty());
  const auto gguf = open_checkpoint(directory.write(
      "x.gguf", test::GgufFile(0, 1).key_string("general.architecture", "sd3").bytes()));
  ASSERT_TRUE(gguf.ok()) << gguf.error().text();
  EXPECT_EQ(gguf->components[0].family, "sd3");
}

TEST(OpenCheckpoint, TakesTheIndexForTheModelsDirectory) {
  const test::ScratchDirectory directory;
  write_pipeline(directory);
  const auto checkpoint =
      open_checkpoint(directory.path() / "text_encoder/model.safetensors.index.json");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().text();
  EXPECT_EQ(checkpoint->kind, CheckpointKind::model_directory);
  EXPECT_EQ(checkpoint->root, directory.path() / "text_encoder");
  EXPECT_EQ(checkpoint->components[0].weights_name, "model");
  EXPECT_EQ(checkpoint->components[0].family, "t5");
  EXPECT_EQ(checkpoint->components[0].tensors.size(), 3u);
}

// Both spellings of a sharded variant that the libraries have written.
TEST(OpenCheckpoint, ReadsShardedVariants) {
  for (const char* index :
       {"model.safetensors.index.fp16.json", "model.fp16.safetensors.index.json"}) {
    const test::ScratchDirectory directory;
    directory.write("model.safetensors", weights({"plain.weight"}));
    directory.write("model.fp16-00001-of-00002.safetensors", weights({"a.weight"}));
    directory.write("model.fp16-00002-of-00002.safetensors", weights({"b.weight"}));
    directory.write(index, index_of({{"a.weight", "model.fp16-00001-of-00002.safetensors"},
                                     {"b.weight", "model.fp16-00002-of-00002.safetensors"}}));
    const auto half = open_checkpoint(directory.path(), {"fp16"});
    ASSERT_TRUE(half.ok()) << half.error().text();
    EXPECT_EQ(half->components[0].variant, "fp16");
    EXPECT_EQ(half->components[0].weights_name, "model");
    EXPECT_THAT(tensor_names(half->components[0]), ElementsAre("a.weight", "b.weight"));
    EXPECT_THAT(half->other_files, IsEmpty());
    const auto plain = open_checkpoint(directory.path());
    ASSERT_TRUE(plain.ok()) << plain.error().text();
    EXPECT_THAT(tensor_names(plain->components[0]), ElementsAre("plain.weight"));
    expect_error(directory.path(), ErrorCode::not_found, "no weights of variant 'bf16'", "bf16");
  }
}

// As diffusers, which asks each component whether it has the variant.
TEST(OpenCheckpoint, ComponentsWithoutTheVariantGiveTheirPlainWeights) {
  const test::ScratchDirectory directory;
  write_pipeline(directory);
  directory.write("transformer/diffusion_pytorch_model.fp16.safetensors", weights({"half"}));
  const auto mixed = open_checkpoint(directory.path(), {"fp16"});
  ASSERT_TRUE(mixed.ok()) << mixed.error().text();
  EXPECT_EQ(mixed->components[0].variant, "fp16");
  EXPECT_THAT(tensor_names(mixed->components[0]), ElementsAre("half"));
  EXPECT_EQ(mixed->components[1].variant, "");
  EXPECT_THAT(mixed->components[0].source_files,
              ElementsAre("transformer/diffusion_pytorch_model.fp16.safetensors",
                          "transformer/config.json"));
  expect_error(directory.path(), ErrorCode::not_found, "variant 'bf16'", "bf16");
}

TEST(OpenCheckpoint, RefusesAQuantizationConfigThatIsNoObject) {
  const test::ScratchDirectory directory;
  directory.write("model.safetensors", weights({"a"}));
  directory.write("config.json", R"({"quantization_config": 5})");
  expect_error(directory.path(), ErrorCode::data_loss, "'quantization_config' is 5");
  directory.write("config.json", R"({"quantization_config": null})");
  EXPECT_TRUE(open_checkpoint(directory.path()).ok());
}

TEST(OpenCheckpoint, TakesTheOnlyVariantAndAsksAmongSeveral) {
  const test::ScratchDirectory directory;
  directory.write("diffusion_pytorch_model.fp16.safetensors", weights({"a.weight"}));
  const auto only = open_checkpoint(directory.path());
  ASSERT_TRUE(only.ok()) << only.error().text();
  EXPECT_EQ(only->components[0].variant, "fp16");
  directory.write("diffusion_pytorch_model.bf16.safetensors", weights({"a.weight"}));
  expect_error(directory.path(), ErrorCode::invalid_argument, "several variants");
}

// Where both exist, diffusers reads the index and transformers the file.
TEST(OpenCheckpoint, ChoosesBetweenFileAndIndexAsEachLibraryDoes) {
  for (const auto& [stem, expected] :
       {std::pair{"model", "single.weight"}, {"diffusion_pytorch_model", "a.weight"}}) {
    const test::ScratchDirectory directory;
    directory.write(std::string(stem) + ".safetensors", weights({"single.weight"}));
    directory.write("shard-00001-of-00001.safetensors", weights({"a.weight"}));
    directory.write(std::string(stem) + ".safetensors.index.json",
                    index_of({{"a.weight", "shard-00001-of-00001.safetensors"}}));
    const auto checkpoint = open_checkpoint(directory.path());
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().text();
    EXPECT_THAT(tensor_names(checkpoint->components[0]), ElementsAre(expected));
  }
}

TEST(OpenCheckpoint, AsksAmongSeveralFilesOfUnknownNames) {
  const test::ScratchDirectory directory;
  directory.write("sd3.5_large.safetensors", weights({"a.weight"}));
  const auto one = open_checkpoint(directory.path());
  ASSERT_TRUE(one.ok()) << one.error().text();
  EXPECT_EQ(one->components[0].variant, "");
  EXPECT_EQ(one->components[0].weights_name, "sd3.5_large");
  directory.write("sd3.5_large_turbo.safetensors", weights({"a.weight"}));
  expect_error(directory.path(), ErrorCode::invalid_argument, "several files of weights");
  directory.write("model.safetensors", weights({"a.weight"}));
  EXPECT_TRUE(open_checkpoint(directory.path()).ok());
}

TEST(OpenCheckpoint, FollowsSymbolicLinksEachDirectoryOnce) {
  const test::ScratchDirectory directory;
  directory.write("blobs/0f1e", weights({"a.weight"}));
  directory.write("blobs/config", R"({"model_type": "t5"})");
  const fs::path snapshot = directory.path() / "snapshots/main";
  fs::create_directories(snapshot / "extra");
  fs::create_symlink("../../blobs/0f1e", snapshot / "model.safetensors");
  fs::create_symlink("../../blobs/config", snapshot / "config.json");
  fs::create_symlink("../../../blobs/config", snapshot / "extra/tokenizer.json");
  fs::create_directory_symlink("..", snapshot / "extra/loop");
  const auto checkpoint = open_checkpoint(snapshot);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().text();
  EXPECT_EQ(checkpoint->components[0].family, "t5");
  EXPECT_THAT(checkpoint->other_files, ElementsAre("extra/tokenizer.json"));
}

TEST(OpenCheckpoint, RefusesAnIndexThatLies) {
  const test::ScratchDirectory directory;
  directory.write("a.safetensors", weights({"a.weight"}));
  directory.write("again.safetensors", weights({"a.weight"}));
  directory.write("cut.safetensors", weights({"b.weight"}).substr(0, 90));
  const auto refused = [&](const std::string& index, const std::string& text) {
    expect_error(directory.write("model.safetensors.index.json", index), ErrorCode::data_loss,
                 text);
  };
  refused(index_of({{"a.weight", "missing.safetensors"}}),
          "'missing.safetensors', which is missing");
  refused(index_of({{"a.weight", "a.safetensors"}, {"b.weight", "a.safetensors"}}),
          "'b.weight' is in 'a.safetensors'");
  refused(index_of({{"a.weight", "a.safetensors"}, {"x", "again.safetensors"}}),
          "'a.weight' is in both");
  refused(index_of({{"b.weight", "cut.safetensors"}}), "cut.safetensors");
  refused(index_of({{"a.weight", "../a.safetensors"}}), "outside of its directory");
  refused(index_of({{"a.weight", (directory.path() / "a.safetensors").string()}}),
          "outside of its directory");
  refused(index_of({{"a.weight", ""}}), "outside of its directory");
  refused(index_of({{"a.weight", 1}}), "is not a file name");
  refused(index_of(json::object()), "no weight_map");
  refused("[]", "no weight_map");
  refused("{", "not JSON");
  refused(R"({"weight_map": {"a.weight": "a.safetensors", "a.weight": "again.safetensors"}})",
          "a second time");
}

TEST(OpenCheckpoint, SaysWhatIsMissingFromADirectory) {
  const test::ScratchDirectory directory;
  expect_error(directory.path() / "nowhere", ErrorCode::io, "does not exist");
  expect_error(directory.path(), ErrorCode::not_found, "neither model_index.json nor weights");
  directory.write("pytorch_model.bin", "x");
  expect_error(directory.path(), ErrorCode::unsupported, "pickled");
  const fs::path shard = directory.write("model-00001-of-00002.safetensors", weights({"a.weight"}));
  expect_error(directory.path(), ErrorCode::data_loss, "not their *.safetensors.index.json");
  expect_error(shard, ErrorCode::invalid_argument, "one shard of several");
  expect_error(directory.write("x-00001-of-00002.gguf", test::GgufFile(0, 1)
                                                            .string("split.count")
                                                            .number(uint32_t{2})
                                                            .number(uint16_t{2})
                                                            .bytes()),
               ErrorCode::unsupported, "split GGUF");
}

TEST(OpenCheckpoint, RefusesABrokenPipeline) {
  const test::ScratchDirectory directory;
  const auto refused = [&](const std::string& index, ErrorCode code, const std::string& text) {
    directory.write("model_index.json", index);
    expect_error(directory.path(), code, text);
  };
  refused("{", ErrorCode::data_loss, "model_index.json: is not JSON");
  refused("[]", ErrorCode::data_loss, "not a JSON object");
  refused(R"({"vae": ["diffusers", "AutoencoderKL"]})", ErrorCode::not_found,
          "its directory is missing");
  refused(R"({"../vae": ["diffusers", "AutoencoderKL"]})", ErrorCode::data_loss,
          "no name of a component");
  refused(R"({"_class_name": "X", "vae": [null, null]})", ErrorCode::not_found,
          "no component has weights");
  directory.write("vae/diffusion_pytorch_model.safetensors", "cut");
  refused(R"({"vae": ["diffusers", "AutoencoderKL"]})", ErrorCode::data_loss, "component vae");
}

}  // namespace
}  // namespace precis
