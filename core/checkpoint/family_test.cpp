#include "core/checkpoint/family.h"

#include <gmock/gmock.h>
#include <re2/re2.h>

#include <fstream>
#include <map>
#include <set>

#include "core/format/layout.h"
#include "core/format/test_files.h"

namespace precis {
namespace {

using nlohmann::json;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::vector<int64_t> kMatrix{8, 8};

std::string family_of_class(const std::string& class_name) {
  Component component;
  component.class_name = class_name;
  return detect_family(component);
}

Component component_with(const test::ScratchDirectory& directory, const std::string& tensor) {
  const std::vector<PlannedTensor> tensors{{tensor, DType::f32, "", {1, 2}, 8}};
  const auto layout = plan_safetensors(tensors, nlohmann::ordered_json::object());
  Component component;
  component.files.push_back(
      *Container::open(directory.write("x.safetensors", layout->header + std::string(8, '\0'))));
  return component;
}

bool skipped(const std::string& family, const std::string& name) {
  for (const FamilySkip& skip : default_skips(family)) {
    if (re2::RE2::PartialMatch(name, re2::RE2(skip.pattern))) return true;
  }
  return false;
}

// What diffusers and transformers replaced in real architectures, recorded from the libraries
// themselves.
TEST(ModuleKind, AgreesWithTheModulesThatTheLibrariesReplace) {
  std::ifstream file(PRECIS_SOURCE_DIR "/tests/oracle/config/replaced_modules.jsonl");
  ASSERT_TRUE(file.is_open());
  std::map<std::string, std::set<std::string>> modules;  // by architecture
  std::map<std::string, std::size_t> linears;
  std::string line;
  while (std::getline(file, line)) {
    const json record = json::parse(line);
    if (!record.contains("quantized")) continue;
    const std::string architecture = record["family"];
    for (const json& path : record["quantized"]) modules[architecture].insert(path);
    linears[architecture] = record["linears"];
  }
  ASSERT_GE(modules.size(), 15u);
  for (const auto& [architecture, paths] : modules) {
    const std::string family = family_of_class(architecture.substr(0, architecture.find('/')));
    EXPECT_NE(family, "other") << architecture;
    std::size_t count = 0;
    for (const std::string& path : paths) {
      const std::string kind = module_kind(family, path + ".weight", kMatrix);
      // The libraries also quantize embeddings on request, and GPT-2's Conv1D as if it were Linear.
      const bool embedding = path.find("embed") != std::string::npos || path == "shared" ||
                             path == "transformer.wte" || path == "transformer.wpe" ||
                             path.ends_with("relative_attention_bias");
      const bool is_embedding = embedding && path.find("embedder") == std::string::npos &&
                                path.find("pos_embed.") == std::string::npos &&
                                path.find("time_embedding.") == std::string::npos &&
                                path.find("time_text_embed.") == std::string::npos;
      const bool conv1d = family == "gpt2" && path.find(".c_") != std::string::npos;
      EXPECT_EQ(kind, is_embedding ? "Embedding"
                      : conv1d     ? "Conv1D"
                                   : "Linear")
          << architecture << " " << path;
      count += kind == "Linear" || kind == "Conv1D";
    }
    // Every Linear of the architecture occurs, and nothing else counts as one.
    EXPECT_EQ(count, linears[architecture]) << architecture;
  }
}

TEST(ModuleKind, FollowsNameAndShape) {
  const auto kind = [](std::string_view name, std::vector<int64_t> shape) {
    return module_kind("flux", name, shape);
  };
  EXPECT_EQ(kind("pos_embed.proj.weight", {8, 4, 2, 2}), "Conv2d");
  EXPECT_EQ(kind("patch_embedding.weight", {8, 4, 1, 2, 2}), "Conv3d");
  EXPECT_EQ(kind("conv.weight", {8, 4, 3}), "Conv1d");
  EXPECT_EQ(kind("norm_q.weight", {8}), "Norm");
  EXPECT_EQ(kind("q_norm.weight", {8, 16}), "Norm");
  EXPECT_EQ(kind("norm1.linear.weight", {8, 16}), "Linear");
  EXPECT_EQ(kind("weight", {8, 16}), "Linear");
  EXPECT_EQ(kind("to_q.bias", {8}), "");
  EXPECT_EQ(kind("scale_shift_table", {2, 8}), "");
  EXPECT_EQ(kind("attn.in_proj_weight", {24, 8}), "");
  EXPECT_EQ(kind("token_embd.weight", {8, 16}), "Embedding");
  EXPECT_EQ(kind("weight", {}), "");
  EXPECT_EQ(module_kind("gpt2", "transformer.h.0.attn.c_attn.weight", kMatrix), "Conv1D");
  EXPECT_EQ(module_kind("no such family", "a.weight", kMatrix), "Linear");
}

TEST(DetectFamily, KnowsClassesModelTypesAndTensors) {
  EXPECT_EQ(family_of_class("SD3Transformer2DModel"), "sd3");
  EXPECT_EQ(family_of_class("SomethingNew"), "other");
  Component by_type;
  by_type.config = {{"model_type", "umt5"}};
  EXPECT_EQ(detect_family(by_type), "t5");
  const test::ScratchDirectory directory;
  const std::vector<std::pair<std::string, std::string>> cases{
      {"single_transformer_blocks.0.proj_mlp.weight", "flux"},
      {"model.diffusion_model.double_blocks.0.img_attn.qkv.weight", "flux"},
      {"model.diffusion_model.joint_blocks.0.context_block.adaLN_modulation.1.weight", "sd3"},
      {"double_layers.0.attn.w2q.weight", "auraflow"},
      {"model.diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.weight", "unet"},
      {"adaln_single.emb.timestep_embedder.linear_1.weight", "pixart"},
      {"encoder.block.0.layer.0.SelfAttention.q.weight", "t5"},
      {"model.layers.0.self_attn.q_proj.weight", "llama"},
      {"anything.weight", "other"},
  };
  for (const auto& [tensor, family] : cases) {
    EXPECT_EQ(detect_family(component_with(directory, tensor)), family) << tensor;
  }
}

TEST(DefaultSkips, KeepWhatQualityDependsOn) {
  for (const char* prefix : {"", "model.diffusion_model."}) {
    const std::string p(prefix);
    EXPECT_TRUE(skipped("flux", p + "proj_out.weight"));
    EXPECT_TRUE(skipped("flux", p + "final_layer.linear.weight"));
    EXPECT_TRUE(skipped("flux", p + "img_in.weight"));
    EXPECT_TRUE(skipped("flux", p + "time_text_embed.timestep_embedder.linear_1.weight"));
    EXPECT_TRUE(skipped("flux", p + "norm_out.linear.weight"));
    // proj_out of a single block is a quarter of the model, and so is the modulation of the blocks.
    EXPECT_FALSE(skipped("flux", p + "single_transformer_blocks.3.proj_out.weight"));
    EXPECT_FALSE(skipped("flux", p + "transformer_blocks.0.norm1.linear.weight"));
    EXPECT_FALSE(skipped("flux", p + "double_blocks.0.img_attn.qkv.weight"));
  }
  EXPECT_TRUE(skipped("t5", "encoder.block.3.layer.1.DenseReluDense.wo.weight"));
  EXPECT_FALSE(skipped("t5", "encoder.block.3.layer.1.DenseReluDense.wi_0.weight"));
  EXPECT_TRUE(skipped("llama", "lm_head.weight"));
  EXPECT_TRUE(skipped("llama", "output.weight"));
  EXPECT_FALSE(skipped("llama", "blk.0.attn_output.weight"));
  EXPECT_TRUE(skipped("unet", "down_blocks.0.resnets.1.time_emb_proj.weight"));
  EXPECT_FALSE(
      skipped("unet", "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight"));
  EXPECT_TRUE(skipped("vae", "decoder.mid_block.attentions.0.to_q.weight"));
  EXPECT_TRUE(skipped("something else", "x_embedder.weight"));
  EXPECT_FALSE(skipped("something else", "blocks.0.proj_out.weight"));
}

TEST(Families, HaveWorkingPatternsAndAReasonForEachSkip) {
  const std::vector<std::string> names = family_names();
  ASSERT_THAT(names, SizeIs(::testing::Ge(11u)));
  EXPECT_EQ(names.back(), "other");
  EXPECT_THAT(std::set<std::string>(names.begin(), names.end()), SizeIs(names.size()));
  for (const std::string& family : names) {
    EXPECT_FALSE(default_skips(family).empty()) << family;
    for (const FamilySkip& skip : default_skips(family)) {
      EXPECT_TRUE(re2::RE2(skip.pattern, re2::RE2::Quiet).ok()) << skip.pattern;
      EXPECT_EQ(skip.pattern.find("{root}"), std::string::npos);
      EXPECT_FALSE(skip.reason.empty());
    }
    for (const FusedLayout& fused : fused_layouts(family)) {
      EXPECT_TRUE(re2::RE2(fused.pattern, re2::RE2::Quiet).ok()) << fused.pattern;
      EXPECT_GE(fused.parts.size(), 2u);
    }
  }
}

TEST(Families, KnowWhichWeightsAreTied) {
  const auto& t5 = tied_weights("t5");
  ASSERT_THAT(t5, SizeIs(3));
  EXPECT_EQ(t5[0].weight, "encoder.embed_tokens.weight");
  EXPECT_EQ(t5[0].same_as, "shared.weight");
  EXPECT_EQ(t5[2].when, "tie_word_embeddings");
  EXPECT_THAT(tied_weights("flux"), IsEmpty());
}

TEST(Family, KnowsWhatScalesCanBeFoldedInto) {
  const std::string block = "model.layers.3.";
  const std::vector<std::string> attention{block + "self_attn.v_proj", block + "self_attn.q_proj",
                                           block + "self_attn.k_proj"};
  EXPECT_EQ(scale_producer("llama", attention), block + "input_layernorm");
  // The norm feeds another layer too.
  EXPECT_EQ(scale_producer("llama", std::span(attention).first(2)), "");
  const std::vector<std::string> out{"encoder.layer.0.attention.output.dense"};
  EXPECT_EQ(scale_producer("bert", out), "encoder.layer.0.attention.self.value");
  const std::vector<std::string> down{"encoder.layer.0.output.dense"};
  EXPECT_EQ(scale_producer("bert", down), "");
  EXPECT_EQ(scale_producer("unknown", out), "");
}

}  // namespace
}  // namespace precis
