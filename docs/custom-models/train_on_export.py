"""From an exported folder to a model file that Coldblitz predicts with: python train_on_export.py FRAMES MODEL.pt"""

import json
import sys
from pathlib import Path

import torch
from torchvision import datasets, models, transforms

frames, model_file = Path(sys.argv[1]), Path(sys.argv[2])
SIZE, MEAN, STD = 64, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
prepare = transforms.Compose([transforms.Resize((SIZE, SIZE)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
torch.manual_seed(0)
data = datasets.ImageFolder(str(frames), prepare)
model = models.resnet18(weights=None, num_classes=len(data.classes))  # weights="DEFAULT" learns from fewer frames
optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
for epoch in range(6):
    for pictures, classes in torch.utils.data.DataLoader(data, batch_size=16, shuffle=True, drop_last=True):
        loss = torch.nn.functional.cross_entropy(model(pictures), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch + 1}: loss {loss:.3f}")
names = {folder: label for label, folder in json.loads((frames / "dataset.json").read_text())["folders"].items()}
torch.jit.trace(model.eval(), torch.zeros(2, 3, SIZE, SIZE)).save(str(model_file))
about = {
    "labels": [names[folder] for folder in data.classes],
    "size": SIZE,
    "mean": MEAN,
    "std": STD,
    "activation": "softmax",
}
model_file.with_suffix(".json").write_text(json.dumps(about))
