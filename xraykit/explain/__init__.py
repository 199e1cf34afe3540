"""What a model learned: Grad-CAM, perturbed images, t-SNE, external validation."""
