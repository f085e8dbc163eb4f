// Landmarks of all faces in a picture, by two files that darkpose wrote (landmarks with uint8 crops, the default), with
// OpenVINO. `pip install openvino` brings everything it needs:
//
//   darkpose export default landmarks.onnx
//   darkpose export detector detector.onnx
//
//   OV=$(python -c "import openvino; print(openvino.__path__[0])")
//   g++ -std=c++17 -O2 landmarks.cpp -o landmarks -I"$OV/include" "$OV"/libs/libopenvino.so.* -Wl,-rpath,"$OV/libs"
//   ./landmarks landmarks.onnx detector.onnx picture.rgb WIDTH HEIGHT
//
// picture.rgb: WIDTH * HEIGHT * 3 bytes, row by row, red green blue. Coordinates are x, y in px of the picture; the
// centre of its first pixel is (0, 0).

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <regex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <openvino/openvino.hpp>

using Bytes = std::vector<std::uint8_t>;
using Matrix = std::array<float, 6>;
using Shares = std::vector<std::pair<int, std::vector<double>>>;

struct Picture {
    Bytes pixels;  // height * width * 3, RGB
    int width, height;
};

struct Landmark {
    std::string name;
    float x, y, score;
};

struct Face {
    float score, roll;  // degrees clockwise
    double x, y, side;  // middle and longer side of the landmark box, px
    std::vector<Landmark> landmarks;
};

// Along an axis, for each new pixel: the first of the pixels that it is made of, and the shares of this and the next.
Shares shares(int length, int new_length) {
    const double step = double(length) / new_length, box = std::max(step, 1.0);
    Shares all;
    for (int i = 0; i < new_length; i++) {
        const double start = std::clamp((i + 0.5) * step - box / 2, 0.0, length - box), end = start + box;
        const int first = int(start);
        std::vector<double> each;
        for (int at = first; at < std::min(end, double(length)); at++) {
            each.push_back((std::min(at + 1.0, end) - std::max(double(at), start)) / box);
        }
        all.emplace_back(first, each);
    }
    return all;
}

// The picture at another size. A new pixel is the mean of the box around its place that is as wide and high as the new
// pixels are apart, at least 1 px: areas are averaged where the picture shrinks, and it is bilinear where it grows.
Picture resize(const Picture& picture, int width, int height) {
    const auto across = shares(picture.width, width), down = shares(picture.height, height);
    Bytes pixels;
    for (const auto& [top, high] : down) {
        for (const auto& [left, wide] : across) {
            for (int k = 0; k < 3; k++) {
                double sum = 0;
                for (std::size_t y = 0; y < high.size(); y++) {
                    for (std::size_t x = 0; x < wide.size(); x++) {
                        sum += high[y] * wide[x] * picture.pixels[((top + y) * picture.width + left + x) * 3 + k];
                    }
                }
                pixels.push_back(std::uint8_t(std::lround(sum)));
            }
        }
    }
    return {pixels, width, height};
}

// Crop px (u, v) to image px: a, b, c, d, e, f; x = a u + b v + c, y = d u + e v + f. The crop is a square, which is
// turned with the face where its roll is more than 30 degrees.
Matrix crop_matrix(const Face& face, int size, double padding) {
    const double angle = std::abs(face.roll) > 30 ? std::nearbyint(face.roll) * std::acos(-1.0) / 180 : 0;
    const double scale = padding * face.side / size, a = scale * std::cos(angle), d = scale * std::sin(angle);
    return {float(a), float(-d), float(face.x - (a - d) * size / 2),
            float(d), float(a),  float(face.y - (d + a) * size / 2)};
}

// Cuts a crop of size * size * 3 bytes from a picture as OpenCV does: bilinear, at places rounded to 1/32 px, black
// outside.
Bytes cut_crop(const Picture& picture, const Matrix& matrix, int size) {
    const auto at = [&](int x, int y, int k) {
        const bool inside = x >= 0 && y >= 0 && x < picture.width && y < picture.height;
        return inside ? picture.pixels[(std::size_t(y) * picture.width + x) * 3 + k] : 0.0;
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

// From the JSON in the file of the landmark network; so little needs no JSON library.
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

// A text in the metadata of a file.
std::string metadata(const ov::Model& model, const std::string& name) {
    if (!model.has_rt_info("framework", name)) {
        throw std::runtime_error("expected a landmark network and a face detector that `darkpose export` wrote");
    }
    return model.get_rt_info<std::string>("framework", name);
}

// A model that calculates in fp32: some processors would take bfloat16 by default, which is too coarse for coordinates.
ov::InferRequest load(ov::Core& core, const std::shared_ptr<ov::Model>& model) {
    return core.compile_model(model, "CPU", ov::hint::inference_precision(ov::element::f32)).create_infer_request();
}

// The faces in a picture, best first.
std::vector<Face> find_faces(ov::Core& core, const std::string& file, const Picture& picture) {
    const auto model = core.read_model(file);
    const double scale = std::stod(metadata(*model, "side")) / std::max(picture.width, picture.height);
    float threshold = std::stof(metadata(*model, "threshold"));
    const auto scaled = [&](int length) { return std::max(1, int(std::nearbyint(scale * length))); };
    Picture resized = resize(picture, scaled(picture.width), scaled(picture.height));
    const double across = double(picture.width) / resized.width, down = double(picture.height) / resized.height;

    auto request = load(core, model);
    const ov::Shape shape = {1, std::size_t(resized.height), std::size_t(resized.width), 3};
    request.set_tensor("images", ov::Tensor(ov::element::u8, shape, resized.pixels.data()));
    request.set_tensor("threshold", ov::Tensor(ov::element::f32, {1}, &threshold));
    request.infer();
    const auto scores = request.get_tensor("scores");
    const float *score = scores.data<float>(), *roll = request.get_tensor("roll").data<float>();
    const float *center = request.get_tensor("center").data<float>(), *size = request.get_tensor("size").data<float>();
    std::vector<Face> faces;
    for (std::size_t i = 0; i < scores.get_size(); i++) {
        const double x = center[2 * i], y = center[2 * i + 1], longer = std::max(size[2 * i], size[2 * i + 1]);
        // In px of the picture; areas of pixels keep their place.
        faces.push_back({score[i], roll[i], (x + 0.5) * across - 0.5, (y + 0.5) * down - 0.5,
                         longer * (across + down) / 2, {}});
    }
    return faces;
}

// Fills in the landmarks of all faces.
void find_landmarks(ov::Core& core, const std::string& file, const Picture& picture, std::vector<Face>& faces) {
    const auto model = core.read_model(file);
    const auto card = metadata(*model, "darkpose");
    const auto names = names_in(card);
    const double padding = padding_in(card);
    const int size = int(model->input("crops").get_partial_shape()[1].get_length());
    if (faces.empty()) return;
    Bytes crops;  // one after the other
    std::vector<float> matrices;
    for (const Face& face : faces) {
        const Matrix matrix = crop_matrix(face, size, padding);
        const Bytes crop = cut_crop(picture, matrix, size);
        matrices.insert(matrices.end(), matrix.begin(), matrix.end());
        crops.insert(crops.end(), crop.begin(), crop.end());
    }

    auto request = load(core, model);
    const std::size_t side = size, count = faces.size();
    request.set_tensor("crops", ov::Tensor(ov::element::u8, {count, side, side, 3}, crops.data()));
    request.set_tensor("matrices", ov::Tensor(ov::element::f32, {count, 2, 3}, matrices.data()));
    request.infer();
    const float* keypoints = request.get_tensor("keypoints").data<float>();  // faces x landmarks x 2: x, y, image px
    const float* scores = request.get_tensor("scores").data<float>();        // faces x landmarks
    for (Face& face : faces) {
        for (const auto& name : names) {
            face.landmarks.push_back({name, keypoints[0], keypoints[1], scores[0]});
            keypoints += 2, scores += 1;
        }
    }
}

// One landmark a line, as JSON.
void print_faces(const std::vector<Face>& faces) {
    std::cout.precision(9);
    std::string separator = "[\n";
    for (const Face& face : faces) {
        std::cout << separator << " {\"score\": " << face.score << ", \"roll\": " << face.roll << ", \"keypoints\": ";
        separator = "[\n";
        for (const Landmark& point : face.landmarks) {
            std::cout << separator << "  {\"name\": \"" << point.name << "\", \"x\": " << point.x
                      << ", \"y\": " << point.y << ", \"score\": " << point.score << "}";
            separator = ",\n";
        }
        std::cout << "\n ]}";
    }
    std::cout << (faces.empty() ? "[]\n" : "\n]\n");
}

int main(int count, char** given) {
    try {
        if (count != 6) {
            throw std::runtime_error("usage: landmarks landmarks.onnx detector.onnx picture.rgb WIDTH HEIGHT");
        }
        const Picture picture = {read_bytes(given[3]), std::stoi(given[4]), std::stoi(given[5])};
        const bool sized = picture.width > 0 && picture.height > 0;
        if (!sized || picture.pixels.size() != std::size_t(picture.width) * picture.height * 3) {
            throw std::runtime_error(std::string(given[3]) + ": expected WIDTH * HEIGHT * 3 bytes");
        }
        ov::Core core;
        auto faces = find_faces(core, given[2], picture);
        find_landmarks(core, given[1], picture, faces);
        print_faces(faces);
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
