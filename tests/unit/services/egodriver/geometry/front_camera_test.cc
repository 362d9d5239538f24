#include "services/egodriver/geometry/front_camera.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/image/decode.h"
#include "common/image/encode.h"

namespace automot::egodriver {
namespace {

using Json = nlohmann::json;

Quat FromMatrix(const Json& m) {
  const auto at = [&](int r, int c) { return m[r][c].get<double>(); };
  // By its largest component: no division by what may be zero.
  const std::array<double, 4> squares = {
      1 + at(0, 0) + at(1, 1) + at(2, 2), 1 + at(0, 0) - at(1, 1) - at(2, 2),
      1 - at(0, 0) + at(1, 1) - at(2, 2), 1 - at(0, 0) - at(1, 1) + at(2, 2)};
  const auto largest = std::max_element(squares.begin(), squares.end()) - squares.begin();
  const double s = 0.5 / std::sqrt(squares[largest]);
  const double x = at(2, 1) - at(1, 2), y = at(0, 2) - at(2, 0), z = at(1, 0) - at(0, 1);
  const double xy = at(0, 1) + at(1, 0), xz = at(0, 2) + at(2, 0), yz = at(1, 2) + at(2, 1);
  switch (largest) {
    case 0:
      return {squares[0] * s, x * s, y * s, z * s};
    case 1:
      return {x * s, squares[1] * s, xy * s, xz * s};
    case 2:
      return {y * s, xy * s, squares[2] * s, yz * s};
    default:
      return {z * s, xz * s, yz * s, squares[3] * s};
  }
}

Lens LensOf(const Json& json) {
  Lens lens;
  const std::string model = json["model"];
  lens.model = model == "pinhole"   ? Lens::Model::kPinhole
               : model == "fisheye" ? Lens::Model::kFisheye
                                    : Lens::Model::kFtheta;
  lens.principal_point = {json["principal_point"][0], json["principal_point"][1]};
  if (json.contains("focal_length")) {
    lens.focal_length = {json["focal_length"][0], json["focal_length"][1]};
  }
  const std::vector<double> radial = json.value("radial", std::vector<double>());
  std::copy(radial.begin(), radial.end(), lens.radial.begin());
  lens.tangential = json.value("tangential", lens.tangential);
  lens.radius_to_angle = json.value("radius_to_angle", lens.radius_to_angle);
  lens.linear = json.value("linear", lens.linear);
  lens.max_angle_rad = json.value("max_angle_rad", 0.0);
  return lens;
}

// The reference's scene, sampled at the centres of pixels.
RgbImage Scene(int width, int height) {
  RgbImage image{width, height, {}};
  for (int row = 0; row < height; ++row) {
    for (int column = 0; column < width; ++column) {
      const double x = column + 0.5, y = row + 0.5;
      for (const double value :
           {40 + 1.8 * x, 40 + 2.4 * y, 128 + 60 * std::sin(x / 17.0) * std::cos(y / 13.0)}) {
        image.pixels.push_back(static_cast<uint8_t>(std::lround(value)));
      }
    }
  }
  return image;
}

// A pinhole that looks `yaw_left` off straight ahead, level.
RigCamera Looking(const std::string& id, double yaw_left, double fov_deg, int width = 640,
                  int height = 360) {
  RigCamera camera{.id = id, .width = width, .height = height};
  const double f = width / 2.0 / std::tan(fov_deg * 3.14159265358979 / 360.0);
  camera.lens.principal_point = {width / 2.0, height / 2.0};
  camera.lens.focal_length = {f, f};
  camera.camera_in_rig = Multiply(AboutZ(yaw_left), {0.5, -0.5, 0.5, -0.5});
  return camera;
}

TEST(FrontCameraTest, PicturesAreThoseOfTheNumpyReference) {
  std::ifstream file(AUTOMOT_SOURCE_DIR
                     "/tests/unit/services/egodriver/geometry/reprojection_reference.json");
  ASSERT_TRUE(file.is_open());
  const Json reference = Json::parse(file);
  const ModelCamera model{reference["model"]["width"], reference["model"]["height"],
                          reference["model"]["fov_deg"]};
  const RgbImage frame = Scene(reference["frame"][0], reference["frame"][1]);
  ASSERT_EQ(reference["cases"].size(), 5U);
  for (const Json& json : reference["cases"]) {
    const std::string name = json["name"];
    const RigCamera camera{name, LensOf(json["lens"]), json["width"], json["height"],
                           FromMatrix(json["camera_in_rig"])};
    ASSERT_TRUE(CheckLens(name, camera.lens).ok()) << CheckLens(name, camera.lens);
    const auto picture = Reprojection(camera, model, frame.width, frame.height).Apply(frame);
    ASSERT_TRUE(picture.ok()) << picture.status();
    int compared = 0;
    for (std::size_t i = 0; i < json["picture"].size(); ++i) {
      for (int c = 0; c < 3; ++c) {
        const int wanted = json["picture"][i][c];
        if (wanted < 0) continue;
        EXPECT_LE(std::abs(picture->pixels[i * 3 + c] - wanted), 2)
            << name << ": pixel " << i << ", channel " << c << " is "
            << int{picture->pixels[i * 3 + c]} << ", numpy has " << wanted;
        ++compared;
      }
    }
    EXPECT_GT(compared, 700) << name;
  }
}

TEST(FrontCameraTest, TheModelsOwnCameraIsPassedThrough) {
  const ModelCamera model{64, 32, 110.0};
  const Reprojection table(Looking("front", 0.0, 110.0, 64, 32), model, 64, 32);
  EXPECT_TRUE(table.identity());
  const RgbImage frame = Scene(64, 32);
  EXPECT_EQ(table.Apply(frame)->pixels, frame.pixels);
  EXPECT_FALSE(Reprojection(Looking("front", 0.1, 110.0, 64, 32), model, 64, 32).identity());
}

TEST(FrontCameraTest, FramesOfAnotherSizeShowTheSame) {
  // Declared 1900x1080, rendered 1916x1080: the intrinsics follow the frame.
  const ModelCamera model{64, 32, 90.0};
  const RigCamera camera = Looking("front", 0.0, 110.0, 1900, 1080);
  const Reprojection wide(camera, model, 1916, 1080);
  RgbImage frame{1916, 1080, std::vector<uint8_t>(std::size_t{1916} * 1080 * 3)};
  for (int i = 0; i < 1916 * 1080; ++i) frame.pixels[i * 3] = i % 1916 < 958 ? 0 : 200;
  const RgbImage picture = *wide.Apply(frame);
  EXPECT_EQ(picture.pixels[(16 * 64 + 30) * 3], 0) << "left of the middle";
  EXPECT_EQ(picture.pixels[(16 * 64 + 33) * 3], 200) << "right of the middle";
  EXPECT_TRUE(absl::IsInvalidArgument(wide.Apply(Scene(8, 8)).status()));
}

TEST(FrontCameraTest, PicturesDecodedSmallerShowTheSame) {
  const ModelCamera model{64, 32, 110.0};  // 22.4 pixels per radian
  struct Case {
    double fov_deg;
    int reduction;
  };
  // 152, 121 and 92 pixels per radian: squares of 6, 5 and 4 pixels.
  for (const auto& [fov_deg, reduction] : {Case{55.0, 2}, Case{66.8, 1}, Case{81.0, 4}}) {
    const RigCamera camera = Looking("front", 0.0, fov_deg, 159, 93);
    const Reprojection table(camera, model, 159, 93);
    ASSERT_EQ(table.reduction(), reduction) << fov_deg;
    RgbImage scene{159, 93, {}};  // without edges, which the two ways of averaging blur differently
    for (int i = 0; i < 159 * 93; ++i) {
      const double x = i % 159, y = i / 159;
      for (const double value :
           {40 + x, 40 + 2 * y, 128 + 60 * std::sin(x / 17) * std::cos(y / 13)})
        scene.pixels.push_back(static_cast<uint8_t>(std::lround(value)));
    }
    const std::string jpeg = *image::EncodeJpeg(scene);
    const auto chosen = [&](int width, int height) {
      EXPECT_TRUE(table.Fits(width, height));
      return table.reduction();
    };
    const auto small = image::DecodeJpegReduced(jpeg, {}, chosen);
    ASSERT_TRUE(small.ok()) << small.status();
    EXPECT_EQ(small->width, (159 + reduction - 1) / reduction);
    const auto of_small = table.Apply(*small);
    const auto of_whole = table.Apply(*image::DecodeJpeg(jpeg));
    ASSERT_TRUE(of_small.ok() && of_whole.ok()) << of_small.status() << of_whole.status();
    int lit = 0;
    for (std::size_t i = 0; i < of_whole->pixels.size(); ++i) {
      EXPECT_NEAR(of_small->pixels[i], of_whole->pixels[i], 4) << fov_deg << ": byte " << i;
      lit += of_whole->pixels[i] > 0 ? 1 : 0;
    }
    EXPECT_GT(lit, 300);
    EXPECT_TRUE(absl::IsInvalidArgument(
        image::DecodeJpegReduced(jpeg.substr(0, jpeg.size() / 2), {}, chosen).status()));
  }
}

TEST(FrontCameraTest, AnAbsurdlyLongLensIsAveragedOverTheLargestSquares) {
  RigCamera camera = Looking("front", 0.0, 55.0, 159, 93);
  camera.lens.focal_length = {1e300, 1e300};
  const Reprojection table(camera, {64, 32, 110.0}, 159, 93);
  EXPECT_EQ(table.reduction(), 8);
  EXPECT_TRUE(table.Apply(Scene(159, 93)).ok());
}

TEST(FrontCameraTest, TheWidestViewAheadIsChosen) {
  const ModelCamera model{1024, 512, 110.0};
  const std::vector<RigCamera> cameras = {Looking("left", 1.2, 120.0), Looking("tele", 0.0, 30.0),
                                          Looking("wide", 0.02, 120.0),
                                          Looking("rear", 3.1, 120.0)};
  const auto chosen = ChooseFrontCamera(cameras, model);
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  EXPECT_EQ(cameras[*chosen].id, "wide");
  EXPECT_GT(Coverage(cameras[2], model), 0.6);
  EXPECT_LT(Coverage(cameras[1], model), 0.1);
}

TEST(FrontCameraTest, AVehicleWithoutAViewAheadIsRefused) {
  const ModelCamera model{1024, 512, 110.0};
  for (const std::vector<RigCamera>& cameras :
       {std::vector<RigCamera>{}, {Looking("left", 1.4, 70.0), Looking("rear", 3.1, 120.0)}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ChooseFrontCamera(cameras, model).status()));
  }
}

TEST(FrontCameraTest, VehiclesOfOneFleetShareTheirTable) {
  ReprojectionCache cache({64, 32, 110.0});
  const auto table = cache.For(Looking("a", 0.0, 120.0), 640, 360);
  EXPECT_EQ(cache.For(Looking("b", 0.0, 120.0), 640, 360), table);
  EXPECT_NE(cache.For(Looking("a", 0.0, 120.0), 320, 180), table);
  EXPECT_NE(cache.For(Looking("a", 0.1, 120.0), 640, 360), table);
}

TEST(CameraLensTest, BrokenLensesAreRefused) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Lens good = Looking("front", 0.0, 90.0).lens;
  EXPECT_TRUE(CheckLens("front", good).ok());
  std::vector<Lens> broken(6, good);
  broken[0].focal_length.x = 0.0;
  broken[1].focal_length.y = nan;
  broken[2].principal_point.x = 1e9;
  broken[3].radial[2] = nan;
  broken[4].model = Lens::Model::kFtheta;  // without a polynomial
  broken[5].model = Lens::Model::kFtheta;
  broken[5].angle_to_radius = {0.0, -3.0};
  for (const Lens& lens : broken) EXPECT_TRUE(absl::IsInvalidArgument(CheckLens("front", lens)));
}

TEST(CameraLensTest, BehindAndBeyondTheLensIsNotSeen) {
  const Lens pinhole = Looking("front", 0.0, 90.0).lens;
  EXPECT_TRUE(Project(pinhole, {0.0, 0.0, 1.0}).has_value());
  EXPECT_FALSE(Project(pinhole, {0.0, 0.0, -1.0}).has_value());
  EXPECT_FALSE(Project(pinhole, {1.0, 0.0, 0.0}).has_value());
  Lens folding = pinhole;
  folding.radial[0] = -0.5;  // one to one up to r = 0.816 only
  EXPECT_TRUE(Project(folding, {0.7, 0.0, 1.0}).has_value());
  EXPECT_FALSE(Project(folding, {0.9, 0.0, 1.0}).has_value());
  Lens fisheye = pinhole;
  fisheye.model = Lens::Model::kFisheye;
  fisheye.max_angle_rad = 1.0;
  EXPECT_FALSE(Project(fisheye, {2.0, 0.0, 1.0}).has_value());
}

}  // namespace
}  // namespace automot::egodriver
