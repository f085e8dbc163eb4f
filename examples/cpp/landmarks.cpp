// Face landmarks from a file that `darkpose export` wrote (with uint8 crops, the default), with OpenVINO.
// `pip install openvino` brings everything it needs:
//
//   OV=$(python -c "import openvino; print(openvino.__path__[0])")
//   g++ -std=c++17 -O2 landmarks.cpp -o landmarks -I"$OV/include" "$OV"/libs/libopenvino.so.* -Wl,-rpath,"$OV/libs"
//   ./landmarks landmarks.onnx picture.rgb WIDTH HEIGHT X0 Y0 X1 Y1
//
// picture.rgb: WIDTH * HEIGHT * 3 bytes, row by row, red green blue. The box is tight around the landmarks, eyebrows to
// chin. The box of a face detector is different: docs/conventions.md, "Image and crop". Coordinates are x, y in px of
// the picture; the centre of its first pixel is (0, 0).

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

#include <openvino/openvino.hpp>

using Bytes = std::vector<std::uint8_t>;
using Matrix = std::array<float, 6>;

// Crop px (u, v) to image px, for the square around a box: a, b, c, d, e, f; x = a u + b v + c, y = d u + e v + f.
Matrix crop_matrix(const std::array<double, 4>& box, int size, double padding) {
    const auto [x0, y0, x1, y1] = box;
    const double side = padding * std::max(x1 - x0, y1 - y0);
    const auto scale = float(side / size);
    return {scale, 0, float((x0 + x1 - side) / 2), 0, scale, float((y0 + y1 - side) / 2)};
}

// Cuts a crop of size * size * 3 bytes from an RGB picture as OpenCV does: bilinear, at places rounded to 1/32 px, black
// outside.
Bytes cut_crop(const Bytes& picture, int width, int height, const Matrix& matrix, int size) {
    const auto at = [&](int x, int y, int k) {
        return x < 0 || y < 0 || x >= width || y >= height ? 0.0 : picture[(std::size_t(y) * width + x) * 3 + k];
    };
    const auto rounded = [](double x, double x0) {
        return std::floor((std::nearbyint(1024 * x) + std::nearbyint(1024 * x0)) / 32 + 0.5) / 32;
    };
    const double a = matrix[0], b = matrix[1], c = matrix[2], d = matrix[3], e = matrix[4], f = matrix[5];
    Bytes crop;
    for (int v = 0; v < size; v++) {
        for (int u = 0; u < size; u++) {
            const double x = rounded(a * u, b * v + c), y = rounded(d * u, e * v + f);
            const int left = int(std::floor(x)), top = int(std::floor(y));
            const double p = x - left, q = y - top;
            for (int k = 0; k < 3; k++) {
                const double above = (1 - p) * at(left, top, k) + p * at(left + 1, top, k);
                const double below = (1 - p) * at(left, top + 1, k) + p * at(left + 1, top + 1, k);
                crop.push_back(std::uint8_t(std::lround((1 - q) * above + q * below)));
            }
        }
    }
    return crop;
}

// The padding of the crop and the names of the landmarks, from the JSON in the file; so little needs no JSON library.
double padding_in(const std::string& card) {
    std::smatch found;
    if (!std::regex_search(card, found, std::regex("\"padding\": ([0-9.]+)"))) throw std::runtime_error("no padding");
    return std::stod(found[1]);
}

std::vector<std::string> names_in(const std::string& card) {
    const auto start = card.find("\"names\": ["), end = card.find(']', start);
    if (end == std::string::npos) throw std::runtime_error("the file names no landmarks");
    const std::string list = card.substr(start + 9, end - start - 9);
    const std::regex quoted("\"([^\"]*)\"");
    std::vector<std::string> names;
    for (std::sregex_iterator it(list.begin(), list.end(), quoted), last; it != last; ++it) names.push_back((*it)[1]);
    return names;
}

Bytes read_bytes(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error(path + ": cannot be read");
    return {std::istreambuf_iterator<char>(file), {}};
}

void find_landmarks(const std::string& file, const std::string& picture_file, int width, int height,
                    const std::array<double, 4>& box) {
    ov::Core core;
    const auto model = core.read_model(file);
    if (!model->has_rt_info("framework", "darkpose")) throw std::runtime_error(file + ": not from `darkpose export`");
    const auto card = model->get_rt_info<std::string>("framework", "darkpose");
    const auto names = names_in(card);
    const int size = int(model->input("crops").get_partial_shape()[1].get_length());
    const Bytes picture = read_bytes(picture_file);
    if (width < 1 || height < 1 || picture.size() != std::size_t(width) * height * 3) {
        throw std::runtime_error(picture_file + ": expected WIDTH * HEIGHT * 3 bytes");
    }
    Matrix matrix = crop_matrix(box, size, padding_in(card));
    Bytes crop = cut_crop(picture, width, height, matrix, size);

    // In fp32: some processors would take bfloat16 by default, which is too coarse for coordinates.
    auto compiled = core.compile_model(model, "CPU", ov::hint::inference_precision(ov::element::f32));
    auto request = compiled.create_infer_request();
    const std::size_t side = size, faces = 1;  // or more faces at once, one after the other
    request.set_tensor("crops", ov::Tensor(ov::element::u8, {faces, side, side, 3}, crop.data()));
    request.set_tensor("matrices", ov::Tensor(ov::element::f32, {faces, 2, 3}, matrix.data()));
    request.infer();
    const float* keypoints = request.get_tensor("keypoints").data<float>();  // faces x landmarks x 2: x, y, image px
    const float* scores = request.get_tensor("scores").data<float>();        // faces x landmarks

    std::cout.precision(9);
    for (std::size_t k = 0; k < names.size(); k++) {
        std::cout << (k == 0 ? "[\n" : ",\n") << " {\"name\": \"" << names[k] << "\", \"x\": " << keypoints[2 * k]
                  << ", \"y\": " << keypoints[2 * k + 1] << ", \"score\": " << scores[k] << "}";
    }
    std::cout << "\n]\n";
}

int main(int count, char** given) {
    try {
        if (count != 9) {
            throw std::runtime_error("usage: landmarks landmarks.onnx picture.rgb WIDTH HEIGHT X0 Y0 X1 Y1");
        }
        std::array<double, 4> box;
        for (int i = 0; i < 4; i++) box[i] = std::stod(given[5 + i]);
        find_landmarks(given[1], given[2], std::stoi(given[3]), std::stoi(given[4]), box);
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
